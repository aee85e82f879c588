//! A network drawn as a Graphviz graph: one box a layer operation, edges with the shapes that flow along them.
use mayfly_graph::{Graph, Op};
use std::fmt::Write;

/// The graph in DOT. Parameters are folded into the operation that reads them.
pub fn dot(graph: &Graph, name: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "digraph {:?} {{", name);
    out.push_str("  rankdir=TB; bgcolor=\"transparent\";\n");
    out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef4fb\", color=\"#0072b2\", fontname=\"Helvetica\", fontsize=11];\n");
    out.push_str("  edge [color=\"#57606a\", fontname=\"Helvetica\", fontsize=9, fontcolor=\"#57606a\"];\n");
    for (i, node) in graph.nodes().iter().enumerate() {
        let weights = |op: &Op| matches!(op, Op::Param(..) | Op::Constant(..));
        if weights(&node.op) {
            continue;
        }
        let params: Vec<String> =
            node.inputs.iter().filter_map(|id| param_label(graph, &graph.node(*id).ok()?.op)).collect();
        let fill = if matches!(node.op, Op::Input(_)) { ", fillcolor=\"#fdf3e7\", color=\"#d55e00\"" } else { "" };
        let detail = if params.is_empty() { String::new() } else { format!("\\n{}", params.join("\\n")) };
        let _ = writeln!(out, "  n{i} [label=\"{}{detail}\"{fill}];", label(&node.op));
        for id in &node.inputs {
            if let Ok(from) = graph.node(*id).map(|n| &n.op)
                && !weights(from)
            {
                let shape = graph.shape(*id).map(|s| s.to_string()).unwrap_or_default();
                let _ = writeln!(out, "  n{} -> n{i} [label=\" {shape}\"];", id.index());
            }
        }
    }
    for (name, id) in graph.outputs() {
        let shape = graph.shape(*id).map(|s| s.to_string()).unwrap_or_default();
        let _ = writeln!(out, "  out_{} [label={name:?}, fillcolor=\"#eaf6f1\", color=\"#009e73\"];", id.index());
        let _ = writeln!(out, "  n{0} -> out_{0} [label=\" {shape}\"];", id.index());
    }
    out.push_str("}\n");
    out
}

fn param_label(graph: &Graph, op: &Op) -> Option<String> {
    let Op::Param(id, shape) = op else { return None };
    Some(format!("{} {shape}", graph.params().get(id.index())?.name))
}

fn label(op: &Op) -> String {
    match op {
        Op::Unary(f) => f.0.name().to_string(),
        op => op.name().to_string(),
    }
}
