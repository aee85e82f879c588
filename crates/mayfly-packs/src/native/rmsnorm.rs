//! Root mean square normalisation (Zhang and Sennrich 2019).

use super::{NativeCall, output, same, write_floats};

/// Partial sums: wide enough for the vectors of any machine.
const LANES: usize = 16;

/// `out = x / sqrt(mean(x²) + eps) * weight` for each row of `x` `[rows, dim]`; `weight` `[dim]`.
pub fn rmsnorm(out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let dim = weight.len().max(1); // of an empty tensor there are no rows
    for (x, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        let scale = 1.0 / (sum_of_squares(x) / dim as f32 + eps).sqrt();
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * w;
        }
    }
}

fn sum_of_squares(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v * v;
        }
    }
    rest.iter().for_each(|v| sums[0] += v * v);
    sums.iter().sum()
}

pub(super) fn run(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let ([_, dim], eps) = (call.dims::<2>(0)?, f32::from_le_bytes(call.word(0)?));
    let (x, weight) = (call.floats(0)?, call.floats(1)?);
    same("weights", dim, weight.len())?;
    let view = call.input(0)?;
    let out = output(outputs, 0, view.data.len())?;
    write_floats(out, view.dtype, |out| rmsnorm(out, &x, &weight, eps));
    Ok(())
}
