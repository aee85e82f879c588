//! Rotary position embedding (Su et al. 2021): pairs of a head's elements are turned by an angle of the position.

use super::{BLOCK, NativeCall, output, same, write_floats};
use std::borrow::Cow;

/// Which two elements make a pair. The wrong one gives a model that runs and talks nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Elements 2i and 2i+1 (the paper, GPT-J).
    Interleaved,
    /// Elements i and i + dim/2 (GPT-NeoX, Llama in Hugging Face's form).
    Half,
}

/// Rotates `x` `[seq, heads, dim]` into `out`; `table` `[seq, dim]` holds dim/2 cosines, then dim/2 sines, a position.
pub fn rope(out: &mut [f32], x: &[f32], table: &[f32], heads: usize, dim: usize, layout: RopeLayout) {
    let half = dim / 2;
    let (row, dim) = ((heads * dim).max(1), dim.max(1)); // of an empty tensor there are no rows
    let positions = x.chunks_exact(row).zip(out.chunks_exact_mut(row));
    for ((x, out), table) in positions.zip(table.chunks_exact(dim)) {
        let (cos, sin) = table.split_at(half);
        for (x, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            match layout {
                RopeLayout::Half => turn_half(out, x, cos, sin),
                RopeLayout::Interleaved => turn_pairs(out, x, cos, sin),
            }
        }
    }
}

fn turn_half(out: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32]) {
    let n = cos.len();
    let ((a, b), (out_a, out_b)) = (x.split_at(n), out.split_at_mut(n));
    let (b, out_b, sin) = (&b[..n], &mut out_b[..n], &sin[..n]);
    for i in 0..n {
        out_a[i] = a[i] * cos[i] - b[i] * sin[i];
        out_b[i] = a[i] * sin[i] + b[i] * cos[i];
    }
}

fn turn_pairs(out: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32]) {
    for (((x, out), c), s) in x.chunks_exact(2).zip(out.chunks_exact_mut(2)).zip(cos).zip(sin) {
        out[0] = x[0] * c - x[1] * s;
        out[1] = x[0] * s + x[1] * c;
    }
}

fn layout(call: &NativeCall<'_>) -> Result<RopeLayout, String> {
    match u32::from_le_bytes(call.word(0)?) {
        0 => Ok(RopeLayout::Interleaved),
        1 => Ok(RopeLayout::Half),
        other => Err(format!("layout: expected 0 or 1, found {other}")),
    }
}

fn check(shape: [usize; 3], table: usize) -> Result<(), String> {
    let [seq, _, dim] = shape;
    if !dim.is_multiple_of(2) {
        return Err(format!("dim: expected an even number, found {dim}"));
    }
    same("elements of the table", seq * dim, table)
}

pub(super) fn run(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let (shape, layout) = (call.dims::<3>(0)?, layout(call)?);
    let (x, table) = (call.floats(0)?, call.floats(1)?);
    check(shape, table.len())?;
    let view = call.input(0)?;
    let out = output(outputs, 0, view.data.len())?;
    write_floats(out, view.dtype, |out| rope(out, &x, &table, shape[1], shape[2], layout));
    Ok(())
}

/// Inputs x (q8), scales, table; outputs y (q8), its scales. A block of 32 values shares one scale.
pub(super) fn run_q8(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let (shape, layout) = (call.dims::<3>(0)?, layout(call)?);
    let (data, scales, table) = (call.input(0)?.data, call.floats(1)?, call.floats(2)?);
    check(shape, table.len())?;
    if !shape[2].is_multiple_of(BLOCK) {
        return Err(format!("dim: expected a multiple of {BLOCK}, found {}", shape[2]));
    }
    same("scales", data.len() / BLOCK, scales.len())?;
    let blocks = data.chunks_exact(BLOCK).zip(scales.iter());
    let x: Vec<f32> =
        blocks.flat_map(|(block, scale)| block.iter().map(move |q| f32::from(q.cast_signed()) * scale)).collect();
    let mut y = vec![0.0; x.len()];
    rope(&mut y, &x, &table, shape[1], shape[2], layout);
    let found: Cow<'_, [f32]> =
        y.chunks_exact(BLOCK).map(|b| b.iter().fold(0f32, |m, v| m.max(v.abs())) / 127.0).collect();
    let out = output(outputs, 0, data.len())?;
    for ((block, out), scale) in y.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK)).zip(found.iter()) {
        let inverse = if *scale > 0.0 { 1.0 / scale } else { 0.0 };
        block.iter().zip(out).for_each(|(v, q)| *q = ((v * inverse).round_ties_even() as i8).cast_unsigned());
    }
    let out = output(outputs, 1, found.len() * 4)?;
    write_floats(out, crate::tensor::DType::F32, |out| out.copy_from_slice(&found));
    Ok(())
}
