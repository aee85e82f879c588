//! Low-rank adaptation (Hu et al. 2021): base + scale * (x Aᵀ) Bᵀ.

use super::{NativeCall, output, same, write_floats};

const LANES: usize = 16;

/// `x` `[rows, input]`, `a` `[rank, input]`, `b` `[output, rank]`, `base` and `out` `[rows, output]`; the number of columns
/// of each follows from the lengths and `rank`.
pub fn lora_apply(out: &mut [f32], x: &[f32], a: &[f32], b: &[f32], base: &[f32], rank: usize, scale: f32) {
    let (input, width) = (a.len() / rank, b.len() / rank);
    let mut low = vec![0.0; rank];
    let rows = x.chunks_exact(input).zip(base.chunks_exact(width)).zip(out.chunks_exact_mut(width));
    for ((x, base), out) in rows {
        low.iter_mut().zip(a.chunks_exact(input)).for_each(|(low, a)| *low = dot(x, a) * scale);
        for ((out, base), b) in out.iter_mut().zip(base).zip(b.chunks_exact(rank)) {
            *out = base + dot(&low, b);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

pub(super) fn run(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let ([rows, input], [rank, _], [width, _]) = (call.dims::<2>(0)?, call.dims::<2>(1)?, call.dims::<2>(2)?);
    let (x, a, b, base) = (call.floats(0)?, call.floats(1)?, call.floats(2)?, call.floats(3)?);
    let scale = f32::from_le_bytes(call.word(0)?);
    same("elements of `a`", rank * input, a.len())?;
    same("elements of `b`", rank * width, b.len())?;
    same("elements of `base`", rows * width, base.len())?;
    if rank == 0 || input == 0 || width == 0 {
        return Err("a dimension is 0".into());
    }
    let dtype = call.input(0)?.dtype;
    let out = output(outputs, 0, call.input(3)?.data.len())?;
    write_floats(out, dtype, |out| lora_apply(out, &x, &a, &b, &base, rank, scale));
    Ok(())
}
