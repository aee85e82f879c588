//! Pieces of transformers, as NeuralForecast's are built (after Zhou et al. 2021): embeddings, attention, layers of encoder and decoder.
use super::cx::ForecastCx;
use mayfly_graph::{Binary, Causal, NodeId};
use mayfly_nn::{Act, Result};
use serde::{Deserialize, Serialize};

/// What follows the first of the two dense layers of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedForward {
    /// `x Φ(x)` (Hendrycks & Gimpel 2016).
    #[default]
    Gelu,
    /// `max(x, 0)`
    Relu,
}

/// How vectors look at each other: queries, keys and values, `[batch, time, width]`.
pub(super) trait Attend {
    /// What each query sees: `[batch, time of the queries, width]`.
    fn attend(&self, cx: &mut ForecastCx<'_, '_>, qkv: [NodeId; 3], causal: Causal) -> Result<NodeId>;
}

/// Every query looks at every key.
pub(super) struct Full {
    pub(super) heads: usize,
    pub(super) dropout: f32,
}

impl Attend for Full {
    fn attend(&self, cx: &mut ForecastCx<'_, '_>, qkv: [NodeId; 3], causal: Causal) -> Result<NodeId> {
        cx.attention(qkv, self.heads, self.dropout, causal)
    }
}

/// Sizes of all layers.
#[derive(Clone, Copy)]
pub(super) struct Transformer {
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) dropout: f32,
    pub(super) activation: FeedForward,
}

impl Transformer {
    /// Values of a series, `[batch, time]`, as vectors: a convolution over three neighbours (the ends are each other's), the place in the window, and what else is known of each time.
    pub(super) fn embedded(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        y: NodeId,
        marks: Option<NodeId>,
    ) -> Result<NodeId> {
        let times = cx.width(y)?;
        let x = self.tokens(cx, name, y)?;
        let places = cx.table(&positions(times, self.width), &[times, self.width])?;
        let x = cx.binary(Binary::Add, x, places)?;
        self.marked(cx, name, x, marks)
    }

    /// The same without the place in the window.
    pub(super) fn embedded_without_place(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        y: NodeId,
        marks: Option<NodeId>,
    ) -> Result<NodeId> {
        let x = self.tokens(cx, name, y)?;
        self.marked(cx, name, x, marks)
    }

    fn tokens(&self, cx: &mut ForecastCx<'_, '_>, name: &str, y: NodeId) -> Result<NodeId> {
        let w = cx.circular_weight(&format!("{name}.value_embedding.tokenConv"), 1, self.width)?;
        let times = cx.width(y)?;
        let series = cx.reshape(y, &[1, times])?;
        let x = cx.ring_conv_of(series, w, None, 1)?;
        cx.transposed(x)
    }

    fn marked(&self, cx: &mut ForecastCx<'_, '_>, name: &str, mut x: NodeId, marks: Option<NodeId>) -> Result<NodeId> {
        if let Some(marks) = marks {
            let marks = cx.dense_plain(&format!("{name}.temporal_embedding.embed"), marks, self.width)?;
            x = cx.binary(Binary::Add, x, marks)?;
        }
        self.dropped(cx, x)
    }

    /// Every vector looks at those of the layer and then goes through two dense layers.
    pub(super) fn encoder_layer(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        how: &dyn Attend,
    ) -> Result<NodeId> {
        let seen = self.attention(cx, &format!("{name}.attention"), [x, x], how, Causal::No)?;
        self.after_attention(cx, name, x, seen)
    }

    /// What follows the attention of an encoder's layer.
    pub(super) fn after_attention(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        seen: NodeId,
    ) -> Result<NodeId> {
        let x = self.added(cx, &format!("{name}.norm1"), x, seen)?;
        self.feed_forward(cx, name, &format!("{name}.norm2"), x)
    }

    /// As an encoder's layer, with a look at what the encoder gave in between; the decoder's own vectors see later ones unless it is causal.
    pub(super) fn decoder_layer(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        [x, encoded]: [NodeId; 2],
        how: &dyn Attend,
        causal: Causal,
    ) -> Result<NodeId> {
        let seen = self.attention(cx, &format!("{name}.self_attention"), [x, x], how, causal)?;
        let x = self.added(cx, &format!("{name}.norm1"), x, seen)?;
        let seen = self.attention(cx, &format!("{name}.cross_attention"), [x, encoded], how, Causal::No)?;
        let x = self.added(cx, &format!("{name}.norm2"), x, seen)?;
        self.feed_forward(cx, name, &format!("{name}.norm3"), x)
    }

    /// Layer norm of what was and what is added, some of it dropped.
    pub(super) fn added(&self, cx: &mut ForecastCx<'_, '_>, norm: &str, x: NodeId, more: NodeId) -> Result<NodeId> {
        let more = self.dropped(cx, more)?;
        let sum = cx.binary(Binary::Add, x, more)?;
        cx.layer_norm(norm, sum, 1e-5)
    }

    /// Two dense layers.
    pub(super) fn feed_forward(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        norm: &str,
        x: NodeId,
    ) -> Result<NodeId> {
        let y = cx.dense(&format!("{name}.conv1"), x, self.hidden)?;
        let y = cx.act(y, if self.activation == FeedForward::Gelu { Act::Gelu } else { Act::Relu })?;
        let y = self.dropped(cx, y)?;
        let y = cx.dense(&format!("{name}.conv2"), y, self.width)?;
        self.added(cx, norm, x, y)
    }

    /// Attention of queries over keys and values from `over`.
    pub(super) fn attention(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        [x, over]: [NodeId; 2],
        how: &dyn Attend,
        causal: Causal,
    ) -> Result<NodeId> {
        let width = self.width / self.heads.max(1) * self.heads;
        let q = cx.dense(&format!("{name}.query_projection"), x, width)?;
        let k = cx.dense(&format!("{name}.key_projection"), over, width)?;
        let v = cx.dense(&format!("{name}.value_projection"), over, width)?;
        let seen = how.attend(cx, [q, k, v], causal)?;
        cx.dense(&format!("{name}.out_projection"), seen, self.width)
    }

    pub(super) fn dropped(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> Result<NodeId> {
        if self.dropout > 0.0 { cx.dropout(x, self.dropout) } else { Ok(x) }
    }
}

/// Sines and cosines of the place (Vaswani et al. 2017): `[times, width]`.
pub(super) fn positions(times: usize, width: usize) -> Vec<f32> {
    let rate = |i: usize| libm::exp(-((i - i % 2) as f64) * libm::log(10_000.0) / width as f64);
    (0..times)
        .flat_map(|t| (0..width).map(move |i| (t, i)))
        .map(|(t, i)| {
            let angle = t as f64 * rate(i);
            (if i.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }) as f32
        })
        .collect()
}
