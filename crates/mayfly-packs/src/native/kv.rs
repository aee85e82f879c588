//! Keys and values of attention in 4 or 8 bits, with a scale and a zero a block of 32: value = q * scale + zero.

use super::{NativeCall, output, same, write_floats};
use crate::tensor::DType;

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// Packs `x` (a multiple of 32 finite values): unsigned 4-bit values two a byte, or 8-bit values less 128.
/// `zeros` are the blocks' minima, `scales` their ranges over the number of steps.
///
/// # Errors
/// When a value is not finite.
pub fn kv_pack<const BITS: u32>(
    data: &mut [u8],
    scales: &mut [f32],
    zeros: &mut [f32],
    x: &[f32],
) -> Result<(), String> {
    let steps = ((1u32 << BITS) - 1) as f32;
    let bytes = BLOCK * BITS as usize / 8;
    let (blocks, _) = x.as_chunks::<BLOCK>();
    for (((block, data), scale), zero) in blocks.iter().zip(data.chunks_exact_mut(bytes)).zip(scales).zip(zeros) {
        let (low, high) = block.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let range = high - low;
        if !range.is_finite() || block.iter().any(|v| v.is_nan()) {
            return Err("a value or the range of a block is not finite".into());
        }
        let inverse = if range > 0.0 { steps / range } else { 0.0 };
        (*scale, *zero) = (range / steps, low);
        let q = |v: &f32| ((v - low) * inverse).round_ties_even().clamp(0.0, steps) as u8;
        match BITS {
            4 => block.chunks_exact(2).zip(data).for_each(|(v, out)| *out = q(&v[0]) | (q(&v[1]) << 4)),
            _ => block.iter().zip(data).for_each(|(v, out)| *out = q(v) ^ 0x80),
        }
    }
    Ok(())
}

/// The way back: `out` gets q * scale + zero.
pub fn kv_unpack<const BITS: u32>(out: &mut [f32], data: &[u8], scales: &[f32], zeros: &[f32]) {
    let bytes = BLOCK * BITS as usize / 8;
    let blocks = out.chunks_exact_mut(BLOCK).zip(data.chunks_exact(bytes)).zip(scales.iter().zip(zeros));
    for ((out, data), (scale, zero)) in blocks {
        match BITS {
            4 => {
                for (out, byte) in out.chunks_exact_mut(2).zip(data) {
                    out[0] = f32::from(byte & 15) * scale + zero;
                    out[1] = f32::from(byte >> 4) * scale + zero;
                }
            }
            _ => out.iter_mut().zip(data).for_each(|(out, byte)| *out = f32::from(byte ^ 0x80) * scale + zero),
        }
    }
}

pub(super) fn run_pack<const BITS: u32>(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let x = call.floats(0)?;
    same("values past the last whole block", 0, x.len() % BLOCK)?;
    let blocks = x.len() / BLOCK;
    let (mut scales, mut zeros) = (vec![0.0; blocks], vec![0.0; blocks]);
    kv_pack::<BITS>(output(outputs, 0, x.len() * BITS as usize / 8)?, &mut scales, &mut zeros, &x)?;
    write_floats(output(outputs, 1, blocks * 4)?, DType::F32, |out| out.copy_from_slice(&scales));
    write_floats(output(outputs, 2, blocks * 4)?, DType::F32, |out| out.copy_from_slice(&zeros));
    Ok(())
}

pub(super) fn run_unpack<const BITS: u32>(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let (data, scales, zeros) = (call.input(0)?.data, call.floats(1)?, call.floats(2)?);
    let values = data.len() * 8 / BITS as usize;
    same("values past the last whole block", 0, values % BLOCK)?;
    same("scales", values / BLOCK, scales.len())?;
    same("zeros", values / BLOCK, zeros.len())?;
    write_floats(output(outputs, 0, values * 4)?, DType::F32, |out| kv_unpack::<BITS>(out, data, &scales, &zeros));
    Ok(())
}
