//! The blocks of GPT-2 (Radford et al. 2019) as a graph. Nothing of it is learnt: its parameters are given, and gradients only pass through.
use crate::error::{ForecastError, Result};
use crate::families::block::check_counts;
use crate::families::cx::ForecastCx;
use mayfly_graph::{Binary, Causal, NodeId};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};

/// Tokens of a vocabulary, places and widths, at most.
const MOST: usize = 1 << 24;

/// What follows the first dense layer of a block, by the names of Hugging Face's configurations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum GptAct {
    /// `x Φ(x)` by hyperbolic tangent.
    #[default]
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// `x Φ(x)`
    #[serde(rename = "gelu")]
    Gelu,
    /// `max(x, 0)`
    #[serde(rename = "relu")]
    Relu,
}

/// Sizes of a language model, by the names of its `config.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gpt2 {
    /// Tokens that it knows.
    pub vocab_size: usize,
    /// Tokens that it sees at once.
    pub n_positions: usize,
    /// Width of all vectors.
    pub n_embd: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Heads of attention; they divide the width.
    pub n_head: usize,
    /// Units between the two dense layers of a block; four widths when not given.
    #[serde(default)]
    pub n_inner: Option<usize>,
    /// What is added to the variance in layer norms.
    #[serde(default = "eps")]
    pub layer_norm_epsilon: f32,
    /// What follows the first dense layer of a block.
    #[serde(default)]
    pub activation_function: GptAct,
}

fn eps() -> f32 {
    1e-5
}

/// A parameter: its name behind `llm.`, and its dimensions. Dense layers have inputs before outputs.
pub(super) type Named = (String, Vec<usize>);

impl Gpt2 {
    pub(in crate::families) fn check(&self) -> Result<()> {
        let counts = [
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_inner", self.inner()),
        ];
        check_counts(&counts)?;
        if let Some((name, n)) = counts.iter().find(|(_, n)| *n > MOST) {
            return Err(ForecastError::option(*name, n, format!("it must be at most {MOST}")));
        }
        if !(self.layer_norm_epsilon >= 0.0 && self.layer_norm_epsilon.is_finite()) {
            return Err(ForecastError::option("layer_norm_epsilon", self.layer_norm_epsilon, "it must be 0 or more"));
        }
        match self.n_embd.is_multiple_of(self.n_head) {
            true => Ok(()),
            false => {
                let want = format!("it must be a multiple of n_head, {}", self.n_head);
                Err(ForecastError::option("n_embd", self.n_embd, want))
            }
        }
    }

    fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// All parameters, in the order of the graph.
    pub(super) fn parameters(&self) -> Vec<Named> {
        let (d, inner) = (self.n_embd, self.inner());
        let mut all =
            vec![("wte.weight".to_owned(), vec![self.vocab_size, d]), ("wpe.weight".into(), vec![self.n_positions, d])];
        let norm = |name: String| [(format!("{name}.weight"), vec![d]), (format!("{name}.bias"), vec![d])];
        let dense = |name: String, i: usize, o: usize| {
            [(format!("{name}.weight"), vec![i, o]), (format!("{name}.bias"), vec![o])]
        };
        for i in 0..self.n_layer {
            all.extend(norm(format!("h.{i}.ln_1")));
            all.extend(dense(format!("h.{i}.attn.c_attn"), d, 3 * d));
            all.extend(dense(format!("h.{i}.attn.c_proj"), d, d));
            all.extend(norm(format!("h.{i}.ln_2")));
            all.extend(dense(format!("h.{i}.mlp.c_fc"), d, inner));
            all.extend(dense(format!("h.{i}.mlp.c_proj"), inner, d));
        }
        all.extend(norm("ln_f".into()));
        all
    }

    /// The table of what tokens are: `[vocab_size, n_embd]`.
    pub(in crate::families) fn words(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        given(cx, "wte.weight", &[self.vocab_size, self.n_embd])
    }

    /// What the model makes of vectors, each of which sees those before it: `[batch, time, n_embd]` → the same.
    pub(in crate::families) fn read(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let times = cx.cx.dims(x)?.first().copied().unwrap_or(1);
        if times > self.n_positions {
            return Err(cx.refuse(format!(
                "{times} tokens of prompt and patches for a language model that sees {} at once; shorten prompt_prefix, or take a smaller input_size or a larger stride",
                self.n_positions
            )));
        }
        let places = given(cx, "wpe.weight", &[self.n_positions, self.n_embd])?;
        let places = cx.cx.graph().slice(places, 0, 0, times)?;
        let mut x = cx.binary(Binary::Add, x, places)?;
        for i in 0..self.n_layer {
            x = self.block(cx, &format!("h.{i}"), x)?;
        }
        self.norm(cx, "ln_f", x)
    }

    /// Attention, then two dense layers, each behind a norm and added to what was there.
    fn block(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let d = self.n_embd;
        let y = self.norm(cx, &format!("{name}.ln_1"), x)?;
        let all = dense(cx, &format!("{name}.attn.c_attn"), y, 3 * d)?;
        let qkv = [cx.cut(all, 2, 0, d)?, cx.cut(all, 2, d, d)?, cx.cut(all, 2, 2 * d, d)?];
        let seen = cx.attention(qkv, self.n_head, 0.0, Causal::Yes)?;
        let seen = dense(cx, &format!("{name}.attn.c_proj"), seen, d)?;
        let x = cx.binary(Binary::Add, x, seen)?;
        let y = self.norm(cx, &format!("{name}.ln_2"), x)?;
        let y = dense(cx, &format!("{name}.mlp.c_fc"), y, self.inner())?;
        let y = cx.act(
            y,
            match self.activation_function {
                GptAct::GeluNew => Act::GeluTanh,
                GptAct::Gelu => Act::Gelu,
                GptAct::Relu => Act::Relu,
            },
        )?;
        let y = dense(cx, &format!("{name}.mlp.c_proj"), y, d)?;
        cx.binary(Binary::Add, x, y)
    }

    fn norm(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let gamma = given(cx, &format!("{name}.weight"), &[self.n_embd])?;
        let beta = given(cx, &format!("{name}.bias"), &[self.n_embd])?;
        Ok(cx.cx.graph().layer_norm(x, gamma, beta, self.layer_norm_epsilon)?)
    }
}

/// A parameter that is given: no optimiser moves it, and no gradient of it is computed.
fn given(cx: &mut ForecastCx<'_, '_>, name: &str, dims: &[usize]) -> mayfly_nn::Result<NodeId> {
    cx.cx.running(&format!("llm.{name}"), dims, Init::Zeros, 0.0)
}

/// A dense layer whose weight has inputs before outputs, as the model's files have.
fn dense(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
    let inputs = cx.width(x)?;
    let weight = given(cx, &format!("{name}.weight"), &[inputs, units])?;
    let bias = given(cx, &format!("{name}.bias"), &[units])?;
    let weight = cx.cx.graph().transpose(weight, &[1, 0])?;
    cx.linear(x, weight, Some(bias))
}
