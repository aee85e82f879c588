//! mLSTM: a matrix for memory, all steps of which are computed at once.
use super::parts::{Blocks, HEADS, grouped, normed_by_head, projection};
use crate::families::cx::{ForecastCx, Look};
use mayfly_graph::{Binary, NodeId, ReduceKind};
use mayfly_nn::{Act, Init, Result};

/// Values that are projected together.
const GROUP: usize = 4;

/// What a block adds to `[batch, time, units]`.
pub(super) fn block(cx: &mut ForecastCx<'_, '_>, name: &str, blocks: Blocks, x: NodeId) -> Result<NodeId> {
    let (d, times) = (blocks.units, cx.input_size);
    // Twice as wide, to a multiple of 64.
    let wide = (2 * d).next_multiple_of(64);
    let (small, has_bias) = (blocks.small(), blocks.has_bias);
    let up = projection(cx, &format!("{name}.proj_up"), (x, 2 * wide), small, has_bias)?;
    let u = cx.cut(up, 2, 0, wide)?;
    let z = cx.cut(up, 2, wide, wide)?;
    let by_value = cx.transposed(u)?;
    let conv = cx.depthwise_along(&format!("{name}.conv1d.conv"), by_value, 4, Look::Back)?;
    let conv = cx.act(conv, Act::Silu)?;
    let q = grouped(cx, &format!("{name}.q_proj"), (conv, GROUP), small, has_bias)?;
    let k = grouped(cx, &format!("{name}.k_proj"), (conv, GROUP), small, has_bias)?;
    let v = grouped(cx, &format!("{name}.v_proj"), (by_value, GROUP), small, has_bias)?;
    let remembered = cell(cx, &format!("{name}.mlstm_cell"), [q, k, v], times)?;
    let skip = cx.cx.param(&format!("{name}.learnable_skip"), &[wide], Init::Constant(1.0))?;
    let conv = cx.transposed(conv)?;
    let around = cx.binary(Binary::Mul, conv, skip)?;
    let y = cx.binary(Binary::Add, remembered, around)?;
    let gate = cx.act(z, Act::Silu)?;
    let y = cx.binary(Binary::Mul, y, gate)?;
    let y = projection(cx, &format!("{name}.proj_down"), (y, d), blocks.small_by_depth(), has_bias)?;
    cx.dropped(y, blocks.dropout)
}

/// The memory of all steps at once: `[batch, time, wide]`.
fn cell(cx: &mut ForecastCx<'_, '_>, name: &str, [q, k, v]: [NodeId; 3], times: usize) -> Result<NodeId> {
    let all = cx.joined(&[q, k, v], 2)?;
    let input = gate(cx, &format!("{name}.igate"), all, Init::Normal { deviation: 0.1 })?;
    // Biases from 3 to 6: heads that forget sooner and later.
    let forget = (0..HEADS).map(|i| 3.0 + 3.0 * i as f32 / (HEADS - 1) as f32).collect();
    let forget = gate(cx, &format!("{name}.fgate"), all, Init::Blocks(forget))?;
    // log σ(f), summed up to each step.
    let forget = cx.act(forget, Act::Neg)?;
    let forget = cx.act(forget, Act::Softplus)?;
    let forget = cx.act(forget, Act::Neg)?;
    let so_far: Vec<f32> = (0..times * times).map(|i| f32::from(u8::from(i % times <= i / times))).collect();
    let so_far = cx.table(&so_far, &[times, times])?;
    let kept = cx.linear(forget, so_far, None)?;

    // What each step takes of each earlier one, in logarithms, and less the most it takes of any.
    let from = cx.binary(Binary::Sub, input, kept)?;
    let from = cx.reshape(from, &[HEADS, 1, times])?;
    let from = cx.cx.graph().gather(from, 2, &vec![0; times])?;
    let kept = cx.spread(kept, times)?;
    let taken = cx.binary(Binary::Add, kept, from)?;
    let taken = cx.without_later(taken)?;
    let most = cx.cx.graph().reduce(taken, ReduceKind::Max, 3)?;
    let mosts = cx.spread(most, times)?;
    let taken = cx.binary(Binary::Sub, taken, mosts)?;
    let taken = cx.act(taken, Act::Exp)?;
    let scores = cx.attention_scores(q, k, HEADS)?;
    let scores = cx.binary(Binary::Mul, scores, taken)?;

    // By the size of their sum, or of what nothing would be.
    let sum = cx.cx.graph().reduce(scores, ReduceKind::Sum, 3)?;
    let sum = cx.act(sum, Act::Abs)?;
    let least = cx.act(most, Act::Neg)?;
    let least = cx.act(least, Act::Exp)?;
    let is_more = cx.binary(Binary::Greater, sum, least)?;
    let size = cx.cx.graph().select(is_more, sum, least)?;
    let size = cx.act(size, Act::Affine { mul: 1.0, add: 1e-6 })?;
    let size = cx.spread(size, times)?;
    let scores = cx.binary(Binary::Div, scores, size)?;
    let seen = cx.weighed(scores, v, HEADS)?;

    normed_by_head(cx, &format!("{name}.outnorm"), seen)
}

/// A number for each head and step: `[batch, heads, time]`.
fn gate(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, bias: Init) -> Result<NodeId> {
    let inputs = cx.width(x)?;
    let w = cx.weight(&format!("{name}.weight"), &[HEADS, inputs], Init::Zeros)?;
    let b = cx.bias(&format!("{name}.bias"), HEADS, bias)?;
    let y = cx.linear(x, w, Some(b))?;
    cx.transposed(y)
}
