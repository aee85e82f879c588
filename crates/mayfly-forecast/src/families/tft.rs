//! TFT, the temporal fusion transformer: chosen variables, an LSTM from past to future, attention over both (Lim et al. 2021).
use super::block::{Activation, check_counts, check_dropout};
use super::cx::ForecastCx;
use super::itransformer::check_heads;
use super::settings::{self, Build, Choice, ChoiceKind, ChoiceSizes};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId, ReduceKind};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The recurrent layers of TFT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TftCell {
    /// Long short-term memory.
    #[default]
    Lstm,
    /// Gated recurrent units.
    Gru,
}

/// TFT's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tft {
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Heads of attention; they divide the width.
    pub n_head: usize,
    /// Share of the attention's weights dropped in training.
    pub attn_dropout: f32,
    /// What follows the first layer of a gated residual network.
    pub grn_activation: Activation,
    /// Recurrent layers.
    pub n_rnn_layers: usize,
    /// Their cell.
    pub rnn_type: TftCell,
    /// Whether all recurrent layers start from one state.
    pub one_rnn_initial_state: bool,
    /// Share of values dropped in training.
    pub dropout: f32,
}

impl Default for Tft {
    fn default() -> Self {
        Tft {
            hidden_size: 128,
            n_head: 4,
            attn_dropout: 0.0,
            grn_activation: Activation::ELU,
            n_rnn_layers: 1,
            rnn_type: TftCell::Lstm,
            one_rnn_initial_state: false,
            dropout: 0.1,
        }
    }
}

const EPS: f32 = 1e-3;

/// What static columns tell the rest.
struct Context {
    /// For the choice of variables.
    choice: Option<NodeId>,
    /// For the enrichment of times.
    enrichment: Option<NodeId>,
    /// From which each recurrent layer starts: `[batch, width]`, or `[batch, 2 · width]` with the cell first.
    starts: Vec<NodeId>,
}

impl Build for Tft {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h) = (cx.input_size, cx.h);
        let context = self.context(cx)?;
        let known = self.known(cx)?;
        let mut past = Vec::new();
        if let Some(hist) = cx.hist {
            past.push(self.embedded(cx, "hist_exog", hist.node, hist.count)?);
        }
        past.push(cx.cut(known, 1, 0, l)?);
        let series = cx.reshape(cx.x, &[l, 1])?;
        past.push(self.embedded(cx, "tgt", series, 1)?);
        let past = cx.joined(&past, 2)?;
        let future = cx.cut(known, 1, l, h)?;

        let past = self.chosen(cx, "temporal_encoder.history_vsn", past, context.choice)?;
        let (seen, states) = self.recurrent(cx, "temporal_encoder.history_encoder", past, context.starts)?;
        let future = self.chosen(cx, "temporal_encoder.future_vsn", future, context.choice)?;
        let (ahead, _) = self.recurrent(cx, "temporal_encoder.future_encoder", future, states)?;
        let inputs = cx.joined(&[past, future], 1)?;
        let outputs = cx.joined(&[seen, ahead], 1)?;
        let times =
            self.gated(cx, ["temporal_encoder.input_gate", "temporal_encoder.input_gate_ln"], outputs, inputs)?;

        let name = |part: &str| format!("temporal_fusion_decoder.{part}");
        let enriched = self.grn(cx, &name("enrichment_grn"), times, context.enrichment, None, self.dropout)?;
        let looked = self.attention(cx, &name("attention"), enriched)?;
        let [looked, enriched, times] = [cx.cut(looked, 1, l, h)?, cx.cut(enriched, 1, l, h)?, cx.cut(times, 1, l, h)?];
        let x = self.gated(cx, [&name("attention_gate"), &name("attention_ln")], looked, enriched)?;
        let x = self.grn(cx, &name("positionwise_grn"), x, None, None, self.dropout)?;
        let x = self.gated(cx, [&name("decoder_gate"), &name("decoder_ln")], x, times)?;
        let y = cx.dense("output_adapter", x, cx.outputs)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn choices(&self, sizes: ChoiceSizes) -> Vec<Choice> {
        let ChoiceSizes { input_size, h, columns: [hist, futr, stat] } = sizes;
        // Without such columns the last value stands in for one.
        let futr = futr.max(1);
        let stat = (stat > 0).then_some(Choice { kind: ChoiceKind::Static, times: 1, among: stat });
        let temporal = [
            Choice { kind: ChoiceKind::Past, times: input_size, among: hist + futr + 1 },
            Choice { kind: ChoiceKind::Future, times: h, among: futr },
            Choice { kind: ChoiceKind::Attention, times: input_size + h, among: input_size + h },
        ];
        stat.into_iter().chain(temporal).collect()
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("n_head", self.n_head),
            ("n_rnn_layers", self.n_rnn_layers),
        ])?;
        check_heads(self.hidden_size, self.n_head)?;
        check_dropout("attn_dropout", self.attn_dropout)?;
        check_dropout("dropout", self.dropout)
    }
}

impl Tft {
    /// Every column as a vector of its own, a multiple of one that is learnt: `[.., n] → [.., n, width]`.
    fn embedded(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, n: usize) -> mayfly_nn::Result<NodeId> {
        let d = self.hidden_size;
        let init = Init::Normal { deviation: (2.0 / (n + d) as f32).sqrt() };
        let vectors = cx.cx.param(&format!("embedding.{name}_embedding_vectors"), &[n, d], init)?;
        let bias = cx.cx.param(&format!("embedding.{name}_embedding_bias"), &[n, d], Init::Zeros)?;
        let spread = cx.spread(x, d)?;
        let y = cx.binary(Binary::Mul, spread, vectors)?;
        cx.binary(Binary::Add, y, bias)
    }

    /// What is known over the horizon, as vectors `[batch, input_size + h, columns, width]`; the last value where there is nothing.
    fn known(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let times = cx.input_size + cx.h;
        let (node, count) = match cx.futr {
            Some(futr) => (futr.node, futr.count),
            None => {
                let last = cx.last_value(times)?;
                (cx.reshape(last, &[times, 1])?, 1)
            }
        };
        self.embedded(cx, "futr_exog", node, count)
    }

    fn context(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<Context> {
        let layers = self.n_rnn_layers;
        let Some(stat) = cx.stat else {
            let width = if self.rnn_type == TftCell::Lstm { 2 * self.hidden_size } else { self.hidden_size };
            let zeros = cx.constant(&vec![0.0; width])?;
            let zeros = cx.in_every_row(zeros, &[width])?;
            return Ok(Context { choice: None, enrichment: None, starts: vec![zeros; layers] });
        };
        let columns = self.embedded(cx, "stat_exog", stat.node, stat.count)?;
        let chosen = self.chosen_of_row(cx, "static_encoder.vsn", columns)?;
        let states = if self.one_rnn_initial_state { 1 } else { layers };
        let wanted = if self.rnn_type == TftCell::Lstm { 2 + 2 * states } else { 2 + states };
        let elu = Tft { grn_activation: Activation::ELU, ..self.clone() };
        let all: Vec<NodeId> = (0..wanted)
            .map(|i| elu.grn(cx, &format!("static_encoder.context_grns.{i}"), chosen, None, None, self.dropout))
            .collect::<mayfly_nn::Result<_>>()?;
        let starts = (0..layers)
            .map(|layer| {
                let at = 2 + if self.one_rnn_initial_state { 0 } else { layer };
                match self.rnn_type {
                    TftCell::Gru => Ok(all[at]),
                    TftCell::Lstm => cx.joined(&[all[at + states], all[at]], 1),
                }
            })
            .collect::<mayfly_nn::Result<_>>()?;
        Ok(Context { choice: Some(all[0]), enrichment: Some(all[1]), starts })
    }

    /// Recurrent layers from given states: all steps of the last, and the states that they end with.
    fn recurrent(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        mut x: NodeId,
        starts: Vec<NodeId>,
    ) -> mayfly_nn::Result<(NodeId, Vec<NodeId>)> {
        let mut states = Vec::with_capacity(starts.len());
        for (layer, start) in starts.into_iter().enumerate() {
            let name = |part: &str| format!("{name}.{part}_l{layer}");
            let (y, state) = match self.rnn_type {
                TftCell::Lstm => super::cell::lstm_from(cx, &name, self.hidden_size, x, start)?,
                TftCell::Gru => super::cell::gru_from(cx, &name, self.hidden_size, x, start)?,
            };
            x = y;
            states.push(state);
        }
        Ok((x, states))
    }

    /// Half of twice as many units, as a share of the other half.
    fn glu(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
        let both = cx.dense(&format!("{name}.lin"), x, 2 * units)?;
        let axis = cx.cx.dims(both)?.len();
        let value = cx.cut(both, axis, 0, units)?;
        let share = cx.cut(both, axis, units, units)?;
        let share = cx.act(share, Act::Sigmoid)?;
        cx.binary(Binary::Mul, value, share)
    }

    /// A gated value beside what it came from, and a layer norm.
    fn gated(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        [gate, norm]: [&str; 2],
        x: NodeId,
        beside: NodeId,
    ) -> mayfly_nn::Result<NodeId> {
        let y = self.glu(cx, gate, x, self.hidden_size)?;
        let y = cx.binary(Binary::Add, y, beside)?;
        cx.layer_norm(norm, y, EPS)
    }

    /// A gated residual network: two dense layers, with a context `[batch, width]` beside the first, a gate and a way around, to `units` or as many as there were.
    fn grn(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        a: NodeId,
        context: Option<NodeId>,
        units: Option<usize>,
        dropout: f32,
    ) -> mayfly_nn::Result<NodeId> {
        let d = self.hidden_size;
        let mut x = cx.dense(&format!("{name}.lin_a"), a, d)?;
        if let Some(context) = context {
            let told = cx.dense_plain(&format!("{name}.lin_c"), context, d)?;
            let dims = cx.cx.dims(x)?;
            let told = match dims[..] {
                [times, _] => {
                    let one = cx.reshape(told, &[1, d])?;
                    cx.pick(one, &vec![0; times])?
                }
                _ => told,
            };
            x = cx.binary(Binary::Add, x, told)?;
        }
        let x = cx.act(x, self.grn_activation.act())?;
        let x = cx.dense(&format!("{name}.lin_i"), x, d)?;
        let x = cx.dropped(x, dropout)?;
        let x = self.glu(cx, &format!("{name}.glu"), x, units.unwrap_or(d))?;
        let around = match units {
            Some(units) => cx.dense(&format!("{name}.out_proj"), a, units)?,
            None => a,
        };
        let y = cx.binary(Binary::Add, x, around)?;
        match units {
            Some(1) => Ok(y),
            _ => cx.layer_norm(&format!("{name}.layer_norm.ln"), y, EPS),
        }
    }

    /// Variables weighed against each other at every time: `[batch, time, n, width] → [batch, time, width]`.
    fn chosen(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        context: Option<NodeId>,
    ) -> mayfly_nn::Result<NodeId> {
        let dims = cx.cx.dims(x)?;
        let (times, n, d) = (dims[0], dims[1], self.hidden_size);
        let flat = cx.reshape(x, &[times, n * d])?;
        let scores = self.grn(cx, &format!("{name}.joint_grn"), flat, context, Some(n), 0.0)?;
        let shares = cx.softmax(scores)?;
        cx.chooses(shares, times * n)?;
        let mut sum: Option<NodeId> = None;
        for i in 0..n {
            let one = cx.cut(x, 2, i, 1)?;
            let one = cx.reshape(one, &[times, d])?;
            let one = self.grn(cx, &format!("{name}.var_grns.{i}"), one, None, None, self.dropout)?;
            let share = cx.cut(shares, 2, i, 1)?;
            let share = cx.reshape(share, &[times])?;
            let share = cx.spread(share, d)?;
            let weighed = cx.binary(Binary::Mul, one, share)?;
            sum = Some(match sum {
                Some(before) => cx.binary(Binary::Add, before, weighed)?,
                None => weighed,
            });
        }
        sum.ok_or_else(|| cx.refuse("a choice among no variables"))
    }

    /// The same without times: `[batch, n, width] → [batch, width]`.
    fn chosen_of_row(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (n, d) = (cx.cx.dims(x)?[0], self.hidden_size);
        let x = cx.reshape(x, &[1, n, d])?;
        let y = self.chosen(cx, name, x, None)?;
        cx.reshape(y, &[d])
    }

    /// Attention whose heads share their values; a time sees itself and earlier ones.
    fn attention(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (heads, width) = (self.n_head, self.hidden_size / self.n_head.max(1));
        let qkv = cx.dense_plain(&format!("{name}.qkv_linears"), x, (2 * heads + 1) * width)?;
        let [q, k, v] = [
            cx.cut(qkv, 2, 0, heads * width)?,
            cx.cut(qkv, 2, heads * width, heads * width)?,
            cx.cut(qkv, 2, 2 * heads * width, width)?,
        ];
        let scores = cx.attention_scores(q, k, heads)?;
        let scores = cx.without_later(scores)?;
        let shares = cx.softmax(scores)?;
        let shares = cx.dropped(shares, self.attn_dropout)?;
        // The mean over heads of what they see is what their mean share sees.
        let shares = cx.cx.graph().reduce(shares, ReduceKind::Mean, 1)?;
        let times = cx.input_size + cx.h;
        cx.chooses(shares, times * times)?;
        let seen = cx.cx.graph().matmul(shares, v)?;
        let y = cx.dense_plain(&format!("{name}.out_proj"), seen, self.hidden_size)?;
        cx.dropped(y, self.dropout)
    }
}
