//! Dense layers, and what only refines its input: functions per column, activations, dropout.
use super::{Layer, LayerCx};
use crate::activation::Activation;
use crate::error::Result;
use crate::init::Init;
use mayfly_graph::{Act, NodeId};
use serde::{Deserialize, Serialize};

/// `y = f(x · Wᵀ + b)` over the last dimension: `[.., i] → [.., units]`. Parameters `weight [units, i]`, `bias [units]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Outputs.
    pub units: usize,
    /// What is applied to the sums.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// What it is connected to.
    #[serde(default, skip_serializing_if = "Reads::is_previous")]
    pub reads: Reads,
}

/// What a dense layer is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// The layer before.
    #[default]
    Previous,
    /// The network's input and every earlier layer, side by side in order: FANN's shortcut networks.
    AllPrevious,
}

impl Reads {
    fn is_previous(&self) -> bool {
        *self == Reads::Previous
    }
}

pub(super) fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_yes(bias: &bool) -> bool {
    *bias
}

impl Dense {
    /// A layer of `units` with a bias, connected to the layer before.
    pub fn new(units: usize, activation: impl Into<Activation>) -> Self {
        Dense { units, activation: activation.into(), bias: true, reads: Reads::Previous }
    }

    /// The same layer connected to the input and every earlier layer.
    #[must_use]
    pub fn reading_all(self) -> Self {
        Dense { reads: Reads::AllPrevious, ..self }
    }

    /// The same layer without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Dense { bias: false, ..self }
    }
}

/// How the weights of a layer with this activation start: He for rectifiers, LeCun for SELU, FANN's own range for FANN's functions, Glorot for the rest.
pub(super) fn weight_init(activation: Activation) -> Init {
    let Activation::Act(act) = activation else { return Init::GlorotUniform };
    match act {
        Act::Relu
        | Act::LeakyRelu { .. }
        | Act::Elu { .. }
        | Act::Gelu
        | Act::GeluTanh
        | Act::Silu
        | Act::Mish
        | Act::HardSwish
        | Act::Softplus => Init::HeUniform,
        Act::Selu => Init::LecunNormal,
        Act::Fann(..) => Init::FannUniform { min: -0.1, max: 0.1 },
        _ => Init::GlorotUniform,
    }
}

fn bias_init(activation: Activation) -> Init {
    match activation {
        Activation::Act(Act::Fann(..)) => Init::FannUniform { min: -0.1, max: 0.1 },
        _ => Init::Zeros,
    }
}

impl LayerCx<'_> {
    /// A dense layer without activation whose parameters are `<name>weight` and `<name>bias`.
    pub(super) fn dense(
        &mut self,
        name: &str,
        x: NodeId,
        units: usize,
        activation: Activation,
        bias: bool,
    ) -> Result<NodeId> {
        let inputs = self.dims(x)?.last().copied().unwrap_or(1);
        let w = self.weight(&format!("{name}weight"), &[units, inputs], weight_init(activation))?;
        let b = if bias { Some(self.bias(&format!("{name}bias"), units, bias_init(activation))?) } else { None };
        Ok(self.graph().linear(x, w, b)?)
    }
}

impl Layer for Dense {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let x = match self.reads {
            Reads::Previous => x,
            Reads::AllPrevious => cx.everything_so_far()?,
        };
        let sums = cx.dense("", x, self.units, self.activation, self.bias)?;
        cx.activate(sums, self.activation)
    }
}

/// One elementwise function per column of the last dimension: FANN's networks may mix them within a layer. No parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnActivations(pub Vec<Activation>);

impl Layer for ColumnActivations {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let plain = |a: &Activation| match a {
            Activation::Act(act) => Ok(*act),
            other => Err(cx.refuse(format!("{other} mixes columns; only elementwise functions work on one"))),
        };
        let acts = self.0.iter().map(plain).collect::<Result<Vec<Act>>>()?;
        Ok(cx.graph().column_acts(x, &acts)?)
    }

    fn refines(&self) -> bool {
        true
    }
}

impl Layer for Activation {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.activate(x, *self)
    }

    fn refines(&self) -> bool {
        true
    }
}

/// Drops values with probability `p` and scales the others by `1 / (1 − p)`, in training only (Srivastava et al. 2014).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability, at least 0 and below 1.
    pub p: f32,
}

impl Layer for Dropout {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.dropout(x, self.p)
    }

    fn refines(&self) -> bool {
        true
    }
}
