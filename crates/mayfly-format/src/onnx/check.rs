//! What makes a decoded message a model that can be computed.

use std::collections::HashSet;

use super::UNNAMED;
use super::proto::{GraphProto, ModelProto, NodeProto};
use crate::error::{FormatError, Position, Result, shorten};

impl ModelProto {
    /// Checks that there is a graph whose nodes are in an order in which they can be computed, that no value is made twice, and that
    /// every tensor is in the file and has as many elements as its dimensions say.
    ///
    /// Readers and writers call it; call it yourself after changing fields.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] with the node or tensor, [`FormatError::ExternalData`].
    pub fn check(&self) -> Result<()> {
        self.check_in(UNNAMED)
    }

    /// [`ModelProto::check`] with the name of the file for the message.
    pub(super) fn check_in(&self, file: &str) -> Result<()> {
        let graph = self.graph_in(file)?;
        if self.opset_import.is_empty() {
            return Err(wrong(file, "model", "the version of an operator set", "none"));
        }
        Checker { file, scopes: Vec::new() }.graph(graph)
    }
}

fn wrong(file: &str, part: impl Into<String>, want: impl Into<String>, got: &str) -> FormatError {
    FormatError::malformed(file, Position::Part(part.into()), want, got)
}

struct Checker<'a> {
    file: &'a str,
    /// The values that the current graph, last, and the graphs around it have made so far.
    scopes: Vec<HashSet<&'a str>>,
}

impl<'a> Checker<'a> {
    fn graph(&mut self, graph: &'a GraphProto) -> Result<()> {
        // An initializer may also be an input: then it is its default value.
        let given =
            graph.input.iter().map(|v| v.name.as_str()).chain(graph.initializer.iter().map(|t| t.name.as_str()));
        self.scopes.push(given.collect());
        for tensor in &graph.initializer {
            tensor.check(self.file)?;
        }
        for (index, node) in graph.node.iter().enumerate() {
            self.node(index, node)?;
        }
        if let Some(missing) = graph.output.iter().find(|v| !self.knows(&v.name)) {
            let part = format!("output \"{}\"", shorten(&missing.name));
            return Err(wrong(self.file, part, "a value that a node makes", "none of that name"));
        }
        self.scopes.pop();
        Ok(())
    }

    /// Adds a value to the current graph; false if it has one of that name.
    fn define(&mut self, name: &'a str) -> bool {
        self.scopes.last_mut().is_some_and(|names| names.insert(name))
    }

    fn knows(&self, name: &str) -> bool {
        self.scopes.iter().any(|names| names.contains(name))
    }

    fn node(&mut self, index: usize, node: &'a NodeProto) -> Result<()> {
        let part = || node_part(index, node);
        if node.op_type.is_empty() {
            return Err(wrong(self.file, part(), "an operator", "none"));
        }
        if let Some(name) = node.input.iter().find(|name| !name.is_empty() && !self.knows(name)) {
            let want = "inputs that are made before".to_owned();
            return Err(wrong(self.file, part(), want, &format!("\"{name}\", which is not")));
        }
        for attribute in &node.attribute {
            attribute.t.as_ref().map_or(Ok(()), |t| t.check(self.file))?;
            attribute.g.as_ref().map_or(Ok(()), |g| self.graph(g))?;
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !self.define(name) {
                return Err(wrong(self.file, part(), "outputs of new names", &format!("\"{name}\", which is taken")));
            }
        }
        Ok(())
    }
}

fn node_part(index: usize, node: &NodeProto) -> String {
    format!("node {index} ({} \"{}\")", shorten(&node.op_type), shorten(&node.name))
}
