//! What can go wrong when networks are described, made, trained, saved and loaded.
use mayfly_format::FormatError;
use mayfly_graph::GraphError;
use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = NnError> = std::result::Result<T, E>;

/// Everything this crate refuses, with the numbers that prove it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A layer cannot be built on what the layers before it give.
    #[error("{layer} ({kind}): {source}")]
    Layer {
        /// Where in the network: `layers.3`.
        layer: String,
        /// What kind of layer.
        kind: &'static str,
        /// What does not fit.
        source: GraphError,
    },
    /// A layer's own settings make no sense.
    #[error("{layer}: {what}")]
    LayerSpec {
        /// Where in the network: `layers.3`.
        layer: String,
        /// The setting, its value and what would be right.
        what: String,
    },
    /// A graph, plan or session could not be made.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A file could not be read or written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A setting that the caller chose makes no sense.
    #[error("{option} is {got}; {want}")]
    Option {
        /// The setting's name.
        option: &'static str,
        /// Its value.
        got: String,
        /// What would be right.
        want: String,
    },
    /// An option of a training from a file that does not go with the others or with the data. Options are named in backticks.
    #[error("`{option}` {what}")]
    Misfit {
        /// The option: a field of [`TrainOptions`](crate::tabular::TrainOptions).
        option: &'static str,
        /// Why, and what to do.
        what: String,
    },
    /// A name that means nothing.
    #[error("no {kind} is called {name:?}; there are {}", known.join(", "))]
    UnknownName {
        /// activation, layer, loss …
        kind: &'static str,
        /// The name.
        name: String,
        /// All names that mean something.
        known: Vec<String>,
    },
    /// A network or checkpoint uses a layer or loss of the user's own that was not registered.
    #[error("the {kind} {name:?} is not built in: load with a Registry that has it")]
    Unregistered {
        /// layer or loss.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Values of the wrong number.
    #[error("{what}: {got} values where {want} were expected")]
    Length {
        /// Which values.
        what: String,
        /// How many there must be.
        want: usize,
        /// How many came.
        got: usize,
    },
    /// Data whose rows do not fit the network.
    #[error("the data has {got} {what} a row, the network {want}")]
    DataShape {
        /// inputs or targets.
        what: &'static str,
        /// What the network has.
        want: usize,
        /// What the data has.
        got: usize,
    },
    /// One of a network's further inputs that the rows lack, have in another size, or have and the network does not.
    #[error("input {name:?}: the network takes {want} values a row, the rows have {got}")]
    InputShape {
        /// The input's name.
        name: String,
        /// Values a row that the network takes; 0 if it has no such input.
        want: usize,
        /// Values a row that came; 0 if there are none.
        got: usize,
    },
    /// An input that names a row of an embedding table, and there is no such row.
    #[error("row {row}, input {column} is {value}; the embedding takes whole numbers from 0 to {}", rows - 1)]
    EmbeddingId {
        /// Row of the data, from 0, as far as it was counted.
        row: usize,
        /// Position in the row, from 0.
        column: usize,
        /// The value.
        value: f32,
        /// Rows of the table.
        rows: usize,
    },
    /// A data set that claims to have filled more rows than there was room for.
    #[error("the data set says it filled {got} rows where {room} fit: its `next` must return at most what fits")]
    RowsReturned {
        /// How many it says it filled.
        got: usize,
        /// How many fit.
        room: usize,
    },
    /// A data set that has another number of rows than it says.
    #[error("the data set says it has {said} rows and gave {got}: its `rows` must count what a pass gives, or be None")]
    RowsCounted {
        /// How many it says it has.
        said: usize,
        /// How many came.
        got: usize,
    },
    /// There is nothing to train or evaluate on.
    #[error("the {what} data has no rows")]
    NoRows {
        /// training, validation …
        what: &'static str,
    },
    /// A file that has nothing to train or evaluate on.
    #[error("{file}: no rows {what}")]
    EmptyFile {
        /// The file.
        file: String,
        /// What rows are missed for.
        what: &'static str,
    },
    /// Training ran into numbers that are not finite.
    #[error("training diverged in epoch {epoch}, step {step}: {cause}")]
    Diverged {
        /// The epoch, from 1.
        epoch: u64,
        /// The step over all epochs, from 1.
        step: u64,
        /// Where and why.
        cause: Divergence,
    },
    /// Text that should describe a network, settings or a state and does not.
    #[error("{what}: {source}")]
    Json {
        /// What was being read or written.
        what: &'static str,
        /// The position and the reason.
        source: serde_json::Error,
    },
    /// A model or checkpoint file whose parts do not belong together.
    #[error("{file}: {what}")]
    BadModel {
        /// The file.
        file: String,
        /// What is missing or does not fit.
        what: String,
    },
    /// An ONNX model that cannot be imported, or a network that cannot be exported.
    #[error(transparent)]
    Onnx(#[from] crate::onnx::OnnxError),
    /// The operating system gave no threads.
    #[error("{threads} threads could not be started: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The reason given.
        reason: String,
    },
}

/// Where the first number that is not finite was found, and so what is likely the cause.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Divergence {
    /// In the data.
    Input {
        /// Row of the batch, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// In the targets.
    Target {
        /// Row of the batch, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A parameter was driven out of range by earlier steps.
    Parameter {
        /// Its name, such as `layers.2.weight`.
        name: String,
        /// Position in it.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A layer's output overflows although its parameters are finite.
    Activation {
        /// The layer.
        layer: String,
        /// The value.
        value: f32,
    },
    /// All outputs are finite, the gradient of a parameter is not.
    Gradient {
        /// The parameter's name.
        name: String,
        /// Position in it.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Only the loss itself is not finite.
    Loss {
        /// The value.
        value: f32,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { row, column, value } => {
                write!(f, "input {column} of row {row} in the batch is {value}: clean the data")
            }
            Self::Target { row, column, value } => {
                write!(f, "target {column} of row {row} in the batch is {value}: clean the data")
            }
            Self::Parameter { name, index, value } => {
                write!(
                    f,
                    "{name}[{index}] has become {value}: the steps are too large; lower the learning rate or clip the gradient"
                )
            }
            Self::Activation { layer, value } => {
                write!(
                    f,
                    "the output of {layer} reaches {value} with finite weights: scale the inputs, lower the learning rate or normalise"
                )
            }
            Self::Gradient { name, index, value } => {
                write!(
                    f,
                    "the gradient of {name}[{index}] is {value} while all outputs are finite: clip the gradient or choose a smoother activation or loss"
                )
            }
            Self::Loss { value } => {
                write!(f, "the loss is {value} while all outputs are finite: the targets do not fit the loss")
            }
        }
    }
}

impl NnError {
    pub(crate) fn option(option: &'static str, got: impl ToString, want: impl Into<String>) -> Self {
        Self::Option { option, got: got.to_string(), want: want.into() }
    }

    pub(crate) fn misfit(option: &'static str, what: impl Into<String>) -> Self {
        Self::Misfit { option, what: what.into() }
    }
}

/// Checks a length.
pub(crate) fn expect_len(what: &str, want: usize, got: usize) -> Result<()> {
    if want == got { Ok(()) } else { Err(NnError::Length { what: what.to_owned(), want, got }) }
}
