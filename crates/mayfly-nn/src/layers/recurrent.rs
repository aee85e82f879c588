//! Recurrent layers over `[time, features]`; the hidden state starts at zero.
use super::{Layer, LayerCx};
use crate::activation::Activation;
use crate::error::Result;
use crate::init::Init;
use mayfly_graph::{Act, NodeId};
use serde::{Deserialize, Serialize};

/// Which hidden states come out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steps {
    /// All: `[time, units]`.
    #[default]
    All,
    /// The last: `[units]`.
    Last,
}

/// `h_t = f(W_ih·x_t + b + W_hh·h_{t−1})` (Elman 1990). Parameters `weight_ih [units, i]`, `weight_hh [units, units]`, `bias [units]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
    /// Size of the hidden state.
    pub units: usize,
    /// tanh or relu.
    #[serde(default = "tanh")]
    pub activation: Activation,
    /// Which hidden states come out.
    #[serde(default)]
    pub steps: Steps,
}

/// Long short-term memory (Hochreiter & Schmidhuber 1997), PyTorch's gate order i, f, g, o.
/// Parameters `weight_ih [4·units, i]`, `weight_hh [4·units, units]`, `bias [4·units]` (the sum of PyTorch's two).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// Size of the hidden state.
    pub units: usize,
    /// Which hidden states come out.
    #[serde(default)]
    pub steps: Steps,
}

/// Gated recurrent unit (Cho et al. 2014), PyTorch's order r, z, n with the reset gate after the product.
/// Parameters `weight_ih [3·units, i]`, `weight_hh [3·units, units]`, `bias [3·units]` (PyTorch's two added for r and z, `bias_ih` for n), `bias_hn [units]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Size of the hidden state.
    pub units: usize,
    /// Which hidden states come out.
    #[serde(default)]
    pub steps: Steps,
}

fn tanh() -> Activation {
    Activation::Act(Act::Tanh)
}

impl Rnn {
    /// A tanh layer that gives out all steps.
    pub fn new(units: usize) -> Self {
        Rnn { units, activation: tanh(), steps: Steps::All }
    }
}

impl Lstm {
    /// A layer that gives out all steps.
    pub fn new(units: usize) -> Self {
        Lstm { units, steps: Steps::All }
    }

    /// The same layer giving out the last step only.
    #[must_use]
    pub fn last(self) -> Self {
        Lstm { steps: Steps::Last, ..self }
    }
}

impl Gru {
    /// A layer that gives out all steps.
    pub fn new(units: usize) -> Self {
        Gru { units, steps: Steps::All }
    }

    /// The same layer giving out the last step only.
    #[must_use]
    pub fn last(self) -> Self {
        Gru { steps: Steps::Last, ..self }
    }
}

/// A recurrent layer's parameters and the input projection `[time, gates·units]`.
struct Projected {
    xw: NodeId,
    w_hh: NodeId,
}

/// Input weights are Glorot per gate, recurrent ones orthogonal (Saxe et al. 2014).
fn project(cx: &mut LayerCx<'_>, x: NodeId, units: usize, gates: usize, bias: Init) -> Result<Projected> {
    let [_, inputs] = cx.row(x, "[time, features]")?;
    let rows = units.saturating_mul(gates);
    let limit = (6.0 / (inputs as f32 + units as f32)).sqrt();
    let w_ih = cx.weight("weight_ih", &[rows, inputs], Init::Uniform { min: -limit, max: limit })?;
    let w_hh = cx.weight("weight_hh", &[rows, units], Init::Orthogonal)?;
    let b = cx.bias("bias", rows, bias)?;
    let xw = cx.graph().linear(x, w_ih, Some(b))?;
    Ok(Projected { xw, w_hh })
}

fn pick(cx: &mut LayerCx<'_>, hidden: NodeId, steps: Steps) -> Result<NodeId> {
    let [time, units] = cx.row(hidden, "[time, units]")?;
    match steps {
        Steps::All => Ok(hidden),
        Steps::Last => {
            let last = cx.graph().slice(hidden, 1, time - 1, 1)?;
            cx.reshape(last, &[units])
        }
    }
}

impl Layer for Rnn {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let Activation::Act(act) = self.activation else {
            return Err(cx.refuse(format!("the activation {}; tanh and relu are possible", self.activation)));
        };
        let p = project(cx, x, self.units, 1, Init::Zeros)?;
        let hidden = cx.graph().rnn(p.xw, p.w_hh, act)?;
        pick(cx, hidden, self.steps)
    }
}

impl Layer for Lstm {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        // Forget gates start open (Jozefowicz et al. 2015).
        let p = project(cx, x, self.units, 4, Init::Blocks(vec![0.0, 1.0, 0.0, 0.0]))?;
        let hidden = cx.graph().lstm(p.xw, p.w_hh)?;
        pick(cx, hidden, self.steps)
    }
}

impl Layer for Gru {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let p = project(cx, x, self.units, 3, Init::Zeros)?;
        let b_hn = cx.bias("bias_hn", self.units, Init::Zeros)?;
        let hidden = cx.graph().gru(p.xw, p.w_hh, b_hn)?;
        pick(cx, hidden, self.steps)
    }
}
