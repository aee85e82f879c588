//! sLSTM: a number for each unit, with exponential gates that are kept from overflowing by a running maximum.
use super::parts::{Blocks, HEADS, grouped, normed_by_head, projection};
use crate::families::cx::{ForecastCx, Look};
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, Init, Result};

/// Input, forget, candidate and output.
const GATES: usize = 4;

/// What the `i`-th block adds to `[batch, time, units]` before its feed-forward layers.
pub(super) fn block(
    cx: &mut ForecastCx<'_, '_>,
    name: &str,
    (blocks, i): (Blocks, usize),
    x: NodeId,
) -> Result<NodeId> {
    let (d, head) = (blocks.units, blocks.units / HEADS);
    let by_unit = cx.transposed(x)?;
    let conv = cx.depthwise_along(&format!("{name}.conv1d.conv"), by_unit, 4, Look::Back)?;
    let conv = cx.act(conv, Act::Silu)?;
    // In xLSTM's own code the layer named for the forget gate drives the input gate, and the other way round.
    let of = [("fgate", conv), ("igate", conv), ("zgate", by_unit), ("ogate", by_unit)];
    let mut gates = Vec::new();
    for (gate, from) in of {
        gates.push(grouped(cx, &format!("{name}.{gate}"), (from, head), blocks.small(), false)?);
    }
    let gates = cx.joined(&gates, 2)?;
    let depth = if blocks.count > 1 { i as f32 / (blocks.count - 1) as f32 } else { 0.0 };
    let bias = Init::Blocks(biases(head, depth));
    let bias = cx.bias(&format!("{name}.slstm_cell._bias_"), GATES * d, bias)?;
    let bias = cx.cx.graph().gather(bias, 0, &gate_first(d))?;
    let gates = cx.binary(Binary::Add, gates, bias)?;
    let w = recurrent(cx, &format!("{name}.slstm_cell"), d)?;
    let y = steps(cx, gates, w, d)?;
    let y = cx.dropped(y, blocks.dropout)?;
    normed_by_head(cx, &format!("{name}.group_norm"), y)
}

/// Gated layers behind the memory.
pub(super) fn feed_forward(cx: &mut ForecastCx<'_, '_>, name: &str, blocks: Blocks, x: NodeId) -> Result<NodeId> {
    // 1.3 times as wide, to a multiple of 64.
    let wide = (13 * blocks.units).div_ceil(10).next_multiple_of(64);
    let up = projection(cx, &format!("{name}.proj_up"), (x, 2 * wide), blocks.small(), false)?;
    let [gate, up] = [cx.cut(up, 2, 0, wide)?, cx.cut(up, 2, wide, wide)?];
    let gate = cx.act(gate, Act::Gelu)?;
    let y = cx.binary(Binary::Mul, gate, up)?;
    projection(cx, &format!("{name}.proj_down"), (y, blocks.units), blocks.small_by_depth(), false)
}

/// Biases, head by head and in each gate by gate: forget gates from wide open to nearly shut, and in deeper blocks more of them open.
fn biases(head: usize, depth: f32) -> Vec<f32> {
    let last = head.saturating_sub(1).max(1) as f32;
    let forget = |unit: usize| 5.0 - 12.0 * (unit as f32 / last).powf(0.3 + 1.3 * depth);
    let one = |i: usize| if i / head % GATES == 1 { forget(i % head) } else { 0.0 };
    (0..HEADS * GATES * head).map(one).collect()
}

/// Where each value of `[gate, head, unit]` stands in `[head, gate, unit]`.
fn gate_first(d: usize) -> Vec<usize> {
    let head = d / HEADS;
    (0..GATES * d).map(|at| (at / head % HEADS * GATES + at / d) * head + at % head).collect()
}

/// What the last output adds to the gates, `[gate · unit, unit]`: a unit counts within its head alone. Stored as xLSTM's own code has it on a GPU, `[head, from, gate, to]`.
fn recurrent(cx: &mut ForecastCx<'_, '_>, name: &str, d: usize) -> Result<NodeId> {
    let head = d / HEADS;
    let stored = cx.weight(&format!("{name}._recurrent_kernel_"), &[d * GATES * head], Init::Zeros)?;
    let place = |at: usize| {
        let (gate, to, from) = (at / (d * d), at / d % d, at % d);
        let is_within = to / head == from / head;
        (((from * GATES) + gate) * head + to % head, f32::from(u8::from(is_within)))
    };
    let (places, mask): (Vec<usize>, Vec<f32>) = (0..GATES * d * d).map(place).unzip();
    let g = cx.cx.graph();
    let all = g.gather(stored, 0, &places)?;
    let mask = g.constant(&mask, &[GATES * d * d])?;
    let w = g.binary(Binary::Mul, all, mask)?;
    Ok(g.reshape(w, mayfly_graph::Shape::fixed(&[GATES * d, d])?)?)
}

/// All steps from nothing, of gates `[batch, time, gate · unit]`.
fn steps(cx: &mut ForecastCx<'_, '_>, gates: NodeId, w: NodeId, d: usize) -> Result<NodeId> {
    let mut before: Option<State> = None;
    let mut all = Vec::new();
    for t in 0..cx.input_size {
        let own = cx.rows_of(gates, t, 1)?;
        let mut sum = cx.reshape(own, &[GATES * d])?;
        if let Some(before) = &before {
            let more = cx.linear(before.y, w, None)?;
            sum = cx.binary(Binary::Add, sum, more)?;
        }
        let state = State::after(cx, before.as_ref(), sum, d)?;
        all.push(cx.reshape(state.y, &[1, d])?);
        before = Some(state);
    }
    cx.joined(&all, 1)
}

/// Output, memory, the sum of what was let in, and the logarithm that both are kept relative to.
struct State {
    y: NodeId,
    memory: NodeId,
    sum: NodeId,
    most: NodeId,
}

impl State {
    fn after(cx: &mut ForecastCx<'_, '_>, before: Option<&State>, gates: NodeId, d: usize) -> Result<State> {
        let [input, forget, candidate, output] =
            [cx.part(gates, 0, d)?, cx.part(gates, d, d)?, cx.part(gates, 2 * d, d)?, cx.part(gates, 3 * d, d)?];
        let [candidate, output] = [cx.act(candidate, Act::Tanh)?, cx.act(output, Act::Sigmoid)?];
        let Some(before) = before else {
            // The first input is the largest so far, and all that is remembered.
            let y = cx.binary(Binary::Mul, output, candidate)?;
            let sum = cx.act(input, Act::Affine { mul: 0.0, add: 1.0 })?;
            return Ok(State { y, memory: candidate, sum, most: input });
        };
        // log σ(forget) on top of what the memory is relative to.
        let kept = cx.act(forget, Act::Neg)?;
        let kept = cx.act(kept, Act::Softplus)?;
        let kept = cx.binary(Binary::Sub, before.most, kept)?;
        let is_more = cx.binary(Binary::Greater, input, kept)?;
        let most = cx.cx.graph().select(is_more, input, kept)?;
        let [input, kept] = [cx.binary(Binary::Sub, input, most)?, cx.binary(Binary::Sub, kept, most)?];
        let [input, kept] = [cx.act(input, Act::Exp)?, cx.act(kept, Act::Exp)?];
        let taken = cx.binary(Binary::Mul, input, candidate)?;
        let memory = cx.binary(Binary::Mul, kept, before.memory)?;
        let memory = cx.binary(Binary::Add, memory, taken)?;
        let sum = cx.binary(Binary::Mul, kept, before.sum)?;
        let sum = cx.binary(Binary::Add, sum, input)?;
        let shown = cx.binary(Binary::Div, memory, sum)?;
        let y = cx.binary(Binary::Mul, output, shown)?;
        Ok(State { y, memory, sum, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_open_the_forget_gates_by_steps() {
        let all = biases(3, 0.0);
        assert_eq!(all.len(), 48);
        assert_eq!(all[..6], [0.0, 0.0, 0.0, 5.0, 5.0 - 12.0 * 0.5f32.powf(0.3), -7.0]);
        assert_eq!(all[12..18], all[..6]);
        assert_eq!(biases(1, 1.0)[1], 5.0);
        assert!(biases(3, 1.0)[4] > all[4]);
    }

    #[test]
    fn gates_come_before_heads() {
        // Two units a head: [head, gate, unit] to [gate, head, unit].
        assert_eq!(gate_first(8)[..10], [0, 1, 8, 9, 16, 17, 24, 25, 2, 3]);
    }
}
