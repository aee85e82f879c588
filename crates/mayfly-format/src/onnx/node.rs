//! Attributes of nodes, by name and type.

use super::UNNAMED;
use super::proto::{AttributeProto, NodeProto, TensorProto};
use crate::error::{FormatError, Position, Result, shorten};

/// The kinds of attributes that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeKind {
    /// A number.
    Float = 1,
    /// A whole number.
    Int = 2,
    /// A text.
    Text = 3,
    /// A tensor.
    Tensor = 4,
    /// A graph.
    Graph = 5,
    /// Numbers.
    Floats = 6,
    /// Whole numbers.
    Ints = 7,
    /// Texts.
    Texts = 8,
}

impl AttributeKind {
    const ALL: [Self; 8] =
        [Self::Float, Self::Int, Self::Text, Self::Tensor, Self::Graph, Self::Floats, Self::Ints, Self::Texts];

    fn name(self) -> &'static str {
        match self {
            Self::Float => "a number",
            Self::Int => "a whole number",
            Self::Text => "a text",
            Self::Tensor => "a tensor",
            Self::Graph => "a graph",
            Self::Floats => "numbers",
            Self::Ints => "whole numbers",
            Self::Texts => "texts",
        }
    }
}

impl AttributeProto {
    /// What the attribute holds; `None` for kinds that are not read.
    #[must_use]
    pub fn kind(&self) -> Option<AttributeKind> {
        AttributeKind::ALL.into_iter().find(|&kind| kind as i32 == self.r#type)
    }

    fn new(name: &str, kind: AttributeKind) -> Self {
        Self { name: name.to_owned(), r#type: kind as i32, ..Self::default() }
    }

    /// A number.
    #[must_use]
    pub fn float(name: &str, value: f32) -> Self {
        Self { f: Some(value), ..Self::new(name, AttributeKind::Float) }
    }

    /// A whole number.
    #[must_use]
    pub fn int(name: &str, value: i64) -> Self {
        Self { i: Some(value), ..Self::new(name, AttributeKind::Int) }
    }

    /// A text.
    #[must_use]
    pub fn text(name: &str, value: &str) -> Self {
        Self { s: Some(value.into()), ..Self::new(name, AttributeKind::Text) }
    }

    /// A tensor.
    #[must_use]
    pub fn tensor(name: &str, value: TensorProto) -> Self {
        Self { t: Some(Box::new(value)), ..Self::new(name, AttributeKind::Tensor) }
    }

    /// Numbers.
    #[must_use]
    pub fn floats(name: &str, values: &[f32]) -> Self {
        Self { floats: values.to_vec(), ..Self::new(name, AttributeKind::Floats) }
    }

    /// Whole numbers.
    #[must_use]
    pub fn ints(name: &str, values: &[i64]) -> Self {
        Self { ints: values.to_vec(), ..Self::new(name, AttributeKind::Ints) }
    }

    /// Texts.
    #[must_use]
    pub fn texts(name: &str, values: &[&str]) -> Self {
        Self { strings: values.iter().map(|&v| v.into()).collect(), ..Self::new(name, AttributeKind::Texts) }
    }
}

impl NodeProto {
    /// The attribute of a name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }

    /// The attribute of a name, if it is there, of the kind that the operator gives it.
    fn typed(&self, name: &str, kind: AttributeKind) -> Result<Option<&AttributeProto>> {
        match self.attribute(name) {
            Some(attribute) if attribute.kind() != Some(kind) => {
                let got = attribute.kind().map_or("something else", AttributeKind::name);
                Err(self.wrong(name, kind.name(), got))
            }
            found => Ok(found),
        }
    }

    fn wrong(&self, attribute: &str, want: &str, got: &str) -> FormatError {
        let (name, op) = (shorten(&self.name), shorten(&self.op_type));
        let part = format!("attribute {} of node \"{name}\" ({op})", shorten(attribute));
        FormatError::malformed(UNNAMED, Position::Part(part), want, got)
    }

    /// A whole number, or the operator's default.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when the attribute is of another kind; so for the other accessors.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.typed(name, AttributeKind::Int)?.map_or(default, |a| a.i.unwrap_or(0)))
    }

    /// A number, or the operator's default.
    ///
    /// # Errors
    /// Like [`NodeProto::int_or`].
    pub fn float_or(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.typed(name, AttributeKind::Float)?.map_or(default, |a| a.f.unwrap_or(0.0)))
    }

    /// A text, or the operator's default.
    ///
    /// # Errors
    /// Like [`NodeProto::int_or`], and when the text is not UTF-8.
    pub fn text_or<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str> {
        let Some(attribute) = self.typed(name, AttributeKind::Text)? else { return Ok(default) };
        self.utf8(name, attribute.s.as_deref().unwrap_or_default())
    }

    /// Whole numbers, if they are there.
    ///
    /// # Errors
    /// Like [`NodeProto::int_or`].
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>> {
        Ok(self.typed(name, AttributeKind::Ints)?.map(|a| a.ints.as_slice()))
    }

    /// Numbers, if they are there.
    ///
    /// # Errors
    /// Like [`NodeProto::int_or`].
    pub fn floats(&self, name: &str) -> Result<Option<&[f32]>> {
        Ok(self.typed(name, AttributeKind::Floats)?.map(|a| a.floats.as_slice()))
    }

    /// Texts, if they are there.
    ///
    /// # Errors
    /// Like [`NodeProto::text_or`].
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>> {
        let Some(attribute) = self.typed(name, AttributeKind::Texts)? else { return Ok(None) };
        attribute.strings.iter().map(|bytes| self.utf8(name, bytes)).collect::<Result<_>>().map(Some)
    }

    /// A tensor, if it is there.
    ///
    /// # Errors
    /// Like [`NodeProto::int_or`].
    pub fn tensor(&self, name: &str) -> Result<Option<&TensorProto>> {
        Ok(self.typed(name, AttributeKind::Tensor)?.and_then(|a| a.t.as_deref()))
    }

    fn utf8<'a>(&self, name: &str, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.wrong(name, "a text in UTF-8", "other bytes"))
    }
}
