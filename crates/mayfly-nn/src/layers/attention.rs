//! Attention over `[time, width]`.
use super::dense::yes;
use super::{Layer, LayerCx};
use crate::activation::Activation;
use crate::error::Result;
use mayfly_graph::{Act, Causal, NodeId};
use serde::{Deserialize, Serialize};

/// Multi-head self-attention (Vaswani et al. 2017) with its four projections. Parameters `query.weight [width, width]`, `query.bias`, `key…`, `value…`, `output…`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Heads; they divide the width.
    pub heads: usize,
    /// Whether a position sees only earlier ones and itself.
    #[serde(default)]
    pub causal: bool,
    /// Whether the projections have biases.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// Attention, then two dense layers, each normalised and with a way around it.
/// Parameters `attention.query.weight …`, `norm1.weight`, `norm1.bias`, `linear1.weight [hidden, width]`, `linear2.weight [width, hidden]`, …, `norm2…`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerBlock {
    /// Heads; they divide the width.
    pub heads: usize,
    /// Units between the two dense layers.
    pub hidden: usize,
    /// Whether a position sees only earlier ones and itself.
    #[serde(default)]
    pub causal: bool,
    /// What is applied between the two dense layers.
    #[serde(default = "gelu")]
    pub activation: Activation,
    /// Dropout behind the attention and behind the dense layers.
    #[serde(default)]
    pub dropout: f32,
    /// Where the norms are.
    #[serde(default)]
    pub norm: NormPlace,
}

/// Where a transformer block normalises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlace {
    /// Before attention and before the dense layers (Xiong et al. 2020): trains without warm-up.
    #[default]
    First,
    /// After each sum, as first published.
    Last,
}

fn gelu() -> Activation {
    Activation::Act(Act::Gelu)
}

impl Attention {
    /// With biases; every position sees every other.
    pub fn new(heads: usize) -> Self {
        Attention { heads, causal: false, bias: true }
    }

    fn named(&self, name: &str, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [_, width] = cx.row(x, "[time, width]")?;
        let plain = Activation::IDENTITY;
        let q = cx.dense(&format!("{name}query."), x, width, plain, self.bias)?;
        let k = cx.dense(&format!("{name}key."), x, width, plain, self.bias)?;
        let v = cx.dense(&format!("{name}value."), x, width, plain, self.bias)?;
        let causal = if self.causal { Causal::Yes } else { Causal::No };
        let mixed = cx.graph().attention(q, k, v, self.heads, causal)?;
        cx.dense(&format!("{name}output."), mixed, width, plain, self.bias)
    }
}

impl TransformerBlock {
    /// A block that normalises first, with GELU, without dropout.
    pub fn new(heads: usize, hidden: usize) -> Self {
        TransformerBlock { heads, hidden, causal: false, activation: gelu(), dropout: 0.0, norm: NormPlace::First }
    }

    fn attend(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let attention = Attention { heads: self.heads, causal: self.causal, bias: true };
        let y = attention.named("attention.", cx, x)?;
        cx.dropout(y, self.dropout)
    }

    fn feed(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [_, width] = cx.row(x, "[time, width]")?;
        let sums = cx.dense("linear1.", x, self.hidden, self.activation, true)?;
        let hidden = cx.activate(sums, self.activation)?;
        let y = cx.dense("linear2.", hidden, width, Activation::IDENTITY, true)?;
        cx.dropout(y, self.dropout)
    }
}

/// As PyTorch's transformer layers have it.
const EPS: f32 = 1e-5;

impl Layer for Attention {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        self.named("", cx, x)
    }
}

impl Layer for TransformerBlock {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        match self.norm {
            NormPlace::First => {
                let normed = cx.layer_norm("norm1.", x, EPS)?;
                let attended = self.attend(cx, normed)?;
                let x = cx.graph().add(attended, x)?;
                let normed = cx.layer_norm("norm2.", x, EPS)?;
                let fed = self.feed(cx, normed)?;
                Ok(cx.graph().add(fed, x)?)
            }
            NormPlace::Last => {
                let attended = self.attend(cx, x)?;
                let sum = cx.graph().add(attended, x)?;
                let x = cx.layer_norm("norm1.", sum, EPS)?;
                let fed = self.feed(cx, x)?;
                let sum = cx.graph().add(fed, x)?;
                cx.layer_norm("norm2.", sum, EPS)
            }
        }
    }
}
