//! What cannot be imported or exported.
use mayfly_format::FormatError;
use mayfly_graph::GraphError;

/// Everything that import and export refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// An operator that is not imported.
    #[error("operator {op} (node {node:?}) is not imported; these are: {}", supported.join(", "))]
    Operator {
        /// The operator, with its domain unless it is standard.
        op: String,
        /// The node's name.
        node: String,
        /// What is imported.
        supported: Vec<&'static str>,
    },
    /// A node whose inputs or attributes cannot be imported.
    #[error("{op} (node {node:?}): {what}")]
    Node {
        /// The operator.
        op: String,
        /// The node's name.
        node: String,
        /// What does not fit and what would.
        what: String,
    },
    /// A model that is no network from one input to one output.
    #[error("{what}")]
    Model {
        /// What does not fit and what would.
        what: String,
    },
    /// An operation of a network that ONNX cannot express.
    #[error("{op} cannot be exported: {what}")]
    Export {
        /// The operation.
        op: String,
        /// Why, and what to do.
        what: String,
    },
}

/// What is wrong with a node; the importer adds which one.
#[derive(Debug)]
pub(super) struct Bad(pub String);

pub(super) type Res<T> = Result<T, Bad>;

/// Refuses.
pub(super) fn bad<T>(what: impl Into<String>) -> Res<T> {
    Err(Bad(what.into()))
}

impl From<FormatError> for Bad {
    fn from(e: FormatError) -> Self {
        Bad(e.to_string())
    }
}

impl From<GraphError> for Bad {
    fn from(e: GraphError) -> Self {
        Bad(e.to_string())
    }
}
