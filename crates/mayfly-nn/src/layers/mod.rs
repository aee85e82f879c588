//! Layers: plain descriptions, one file per family, each of which writes itself into a graph.
mod attention;
mod build;
mod conv;
mod custom;
mod dense;
mod embedding;
mod graph;
mod norm;
mod pool;
mod recurrent;
mod residual;
mod shape;

pub use attention::{Attention, NormPlace, TransformerBlock};
pub use build::LayerCx;
pub(crate) use build::{Build, Purpose};
pub use conv::{Conv1d, Conv2d, Padding1d, Padding2d};
pub(crate) use custom::ActivationLayer;
pub use custom::{Custom, CustomLayer};
pub use dense::{ColumnActivations, Dense, Dropout, Reads};
pub use embedding::{Embedding, PositionalEmbedding};
pub(crate) use graph::Values;
pub use graph::{GraphOp, GraphSpec, ParamKind, Reduction};
pub use norm::{BatchNorm, LayerNorm, RmsNorm};
pub use pool::{GlobalAvgPool, Pool1d, Pool2d, Pooling};
pub use recurrent::{Gru, Lstm, Rnn, Steps};
pub use residual::Residual;
pub use shape::{Flatten, Reshape, SwapAxes};

use crate::activation::Activation;
use crate::error::Result;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};

/// What every layer can do: write itself into a graph.
pub(crate) trait Layer {
    /// Adds nodes that compute the layer on `x` and returns its output.
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId>;

    /// Whether the layer only refines its input, so that layers reading all earlier ones see its output instead of its input.
    fn refines(&self) -> bool {
        false
    }
}

/// Declares the layers once: variant and description of the same name, and the name in files.
macro_rules! layers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One layer of a network. Sizes of inputs are never given: they follow from what comes before.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum LayerSpec { $($(#[$doc])* #[serde(rename = $name)] $variant($variant),)+ }

        impl LayerSpec {
            pub(crate) fn layer(&self) -> &dyn Layer {
                match self { $(Self::$variant(layer) => layer,)+ }
            }

            /// The kind, as files name it.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }
        }

        $(impl From<$variant> for LayerSpec {
            fn from(layer: $variant) -> Self { Self::$variant(layer) }
        })+
    };
}

layers! {
    /// Fully connected, or connected to all earlier layers.
    Dense = "dense",
    /// One function per column.
    ColumnActivations = "column_activations",
    /// An activation by itself.
    Activation = "activation",
    /// Convolution over `[channels, length]`.
    Conv1d = "conv1d",
    /// Convolution over `[channels, height, width]`.
    Conv2d = "conv2d",
    /// Pooling over `[channels, length]`.
    Pool1d = "pool1d",
    /// Pooling over `[channels, height, width]`.
    Pool2d = "pool2d",
    /// The mean of each channel.
    GlobalAvgPool = "global_avg_pool",
    /// All values of a row in one dimension.
    Flatten = "flatten",
    /// The values of a row in another shape.
    Reshape = "reshape",
    /// The two dimensions of a row exchanged.
    SwapAxes = "swap_axes",
    /// Simple recurrence.
    Rnn = "rnn",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Gated recurrent unit.
    Gru = "gru",
    /// Rows of a table by number.
    Embedding = "embedding",
    /// A learned vector added to each position.
    PositionalEmbedding = "positional_embedding",
    /// Layer norm.
    LayerNorm = "layer_norm",
    /// Root mean square norm.
    RmsNorm = "rms_norm",
    /// Batch norm.
    BatchNorm = "batch_norm",
    /// Values dropped at random in training.
    Dropout = "dropout",
    /// Layers with a way around them.
    Residual = "residual",
    /// Multi-head self-attention.
    Attention = "attention",
    /// Attention and two dense layers, each with a way around.
    TransformerBlock = "transformer_block",
    /// Operations by number, as importers write them.
    GraphSpec = "graph",
    /// One of the user's own.
    Custom = "custom",
}
