//! FEDformer: Autoformer's parting of trend and season, with layers that mix some frequencies (Zhou et al. 2022).
use super::autoformer::{Decomposing, Mix, spectrum};
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::modes::{FourierBlock, FourierCrossAttention};
use super::settings::{self, Build};
use super::transformer::{FeedForward, Transformer};
use super::vanilla::{check_decoder, decoder_reads};
use crate::error::{ForecastError, Result};
use mayfly_base::{Rng, mix};
use mayfly_graph::NodeId;
use mayfly_nn::Init;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::sync::Arc;

/// Heads of the layers of frequencies.
const HEADS: usize = 8;

/// Which frequencies are mixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeSelect {
    /// Some of all.
    #[default]
    Random,
    /// The lowest.
    Low,
}

/// FEDformer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)] // NeuralForecast's name
pub struct FedFormer {
    /// Share of the past that the decoder reads.
    pub decoder_input_size_multiplier: f32,
    /// Frequencies that are mixed, at most.
    pub modes: usize,
    /// Which they are.
    pub mode_select: ModeSelect,
    /// Width of all vectors; a multiple of the eight heads.
    pub hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Units between the two dense layers of a block.
    pub conv_hidden_size: usize,
    /// What follows the first of them.
    pub activation: FeedForward,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Values of the moving average that is the trend; an odd number.
    pub MovingAvg_window: usize,
    /// The frequencies of the encoder, of the decoder, and of the queries and keys between them; chosen by `mode_select` where they are not given.
    pub modes_index: Option<[Vec<usize>; 4]>,
}

impl Default for FedFormer {
    fn default() -> Self {
        FedFormer {
            decoder_input_size_multiplier: 0.5,
            modes: 64,
            mode_select: ModeSelect::Random,
            hidden_size: 128,
            dropout: 0.05,
            conv_hidden_size: 32,
            activation: FeedForward::Gelu,
            encoder_layers: 2,
            decoder_layers: 1,
            MovingAvg_window: 25,
            modes_index: None,
        }
    }
}

/// Weights that all layers of a kind share: declared by the first.
struct Shared {
    modes: usize,
    node: Cell<Option<NodeId>>,
}

impl Shared {
    fn of(modes: usize) -> Shared {
        Shared { modes, node: Cell::new(None) }
    }

    fn get(&self, cx: &mut ForecastCx<'_, '_>, name: &str, width: usize) -> mayfly_nn::Result<NodeId> {
        if let Some(node) = self.node.get() {
            return Ok(node);
        }
        let n = width / HEADS;
        let init = Init::Uniform { min: 0.0, max: 1.0 / (width * width) as f32 };
        let node = cx.cx.param(&format!("{name}.weights1"), &[HEADS, n, n, 2 * self.modes], init)?;
        self.node.set(Some(node));
        Ok(node)
    }
}

/// A spectrum as times again. NeuralForecast reads the result, which has times innermost, as if they were outermost.
fn as_times(cx: &mut ForecastCx<'_, '_>, spectrum: NodeId, times: usize, width: usize) -> mayfly_nn::Result<NodeId> {
    let y = cx.cx.graph().irfft(spectrum, times)?;
    cx.reshape(y, &[times, width])
}

fn sizes(cx: &ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<(usize, usize)> {
    Ok((cx.cx.dims(x)?.first().copied().unwrap_or(1), cx.width(x)?))
}

struct Block {
    reads: Vec<usize>,
    weights: Shared,
}

impl Mix for Block {
    fn mix(&self, cx: &mut ForecastCx<'_, '_>, name: &str, [q, _, _]: [NodeId; 3]) -> mayfly_nn::Result<NodeId> {
        let (times, width) = sizes(cx, q)?;
        let w = self.weights.get(cx, name, width)?;
        let x = spectrum(cx, q)?;
        let op = FourierBlock { heads: HEADS, reads: self.reads.clone() };
        let y = cx.cx.graph().custom(Arc::new(op), &[x, w])?;
        as_times(cx, y, times, width)
    }
}

struct Cross {
    queries: Vec<usize>,
    keys: Vec<usize>,
    weights: Shared,
}

impl Mix for Cross {
    fn mix(&self, cx: &mut ForecastCx<'_, '_>, name: &str, [q, k, _]: [NodeId; 3]) -> mayfly_nn::Result<NodeId> {
        let (times, width) = sizes(cx, q)?;
        let w = self.weights.get(cx, name, width)?;
        let [q, k] = [spectrum(cx, q)?, spectrum(cx, k)?];
        let op = FourierCrossAttention { heads: HEADS, queries: self.queries.clone(), keys: self.keys.clone() };
        let y = cx.cx.graph().custom(Arc::new(op), &[q, k, w])?;
        let scale = cx.constant(&[1.0 / (width * width) as f32])?;
        let y = cx.binary(mayfly_graph::Binary::Mul, y, scale)?;
        as_times(cx, y, times, width)
    }
}

impl FedFormer {
    /// The modes of a sequence of so many times.
    fn chosen(&self, number: u64, times: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..times / 2).collect();
        if self.mode_select == ModeSelect::Random {
            Rng::stream(mix(0xfed), number).shuffle(&mut all);
        }
        all.truncate(self.modes);
        all.sort_unstable();
        all
    }
}

impl Build for FedFormer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let read = decoder_reads(cx, self.decoder_input_size_multiplier)?;
        let (l, ahead) = (cx.input_size, cx.input_size / 2 + cx.h);
        let [encoder, decoder, queries, keys] = match &self.modes_index {
            Some(given) => given.clone(),
            None => [self.chosen(0, l), self.chosen(1, ahead), self.chosen(2, ahead), self.chosen(3, l)],
        };
        if [&encoder, &decoder, &queries, &keys].iter().any(|modes| modes.is_empty()) {
            return Err(cx.refuse(format!("{l} values of the past, which have no frequencies; at least 2 are needed")));
        }
        let (of_encoder, of_decoder) = (Shared::of(encoder.len()), Shared::of(decoder.len()));
        let between = Cross { weights: Shared::of(queries.len()), queries, keys };
        let encoder = Block { reads: encoder, weights: of_encoder };
        let decoder = Block { reads: decoder, weights: of_decoder };
        let both = Decomposing {
            parts: Transformer {
                width: self.hidden_size,
                heads: HEADS,
                hidden: self.conv_hidden_size,
                dropout: self.dropout,
                activation: self.activation,
            },
            window: self.MovingAvg_window,
            encoder_layers: self.encoder_layers,
            decoder_layers: self.decoder_layers,
            read,
            inner: "inner_correlation",
            mix: [&encoder, &decoder, &between],
        };
        both.build(cx)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("modes", self.modes),
            ("hidden_size", self.hidden_size),
            ("conv_hidden_size", self.conv_hidden_size),
            ("encoder_layers", self.encoder_layers),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if self.MovingAvg_window.is_multiple_of(2) {
            return Err(ForecastError::option("MovingAvg_window", self.MovingAvg_window, "the number must be odd"));
        }
        check_decoder(self.hidden_size, HEADS, self.decoder_input_size_multiplier)?;
        check_dropout("dropout", self.dropout)
    }
}
