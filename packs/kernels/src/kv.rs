//! Keys and values in 4 or 8 bits, a scale and a zero for each block of 32.

use crate::abi::{Call, Code, Result};
use crate::elem::Elem;
use core::arch::wasm32::*;

const BLOCK: usize = 32;

/// ABI 2: input x (f32); outputs data, scales, zeros.
pub fn run_pack<const BITS: usize>(call: &Call) -> Result<()> {
    let call = call.v2();
    let x = call.tensor(0)?.data::<f32>();
    let (data, scales) = (call.tensor(1)?.data_mut::<u8>(), call.tensor(2)?.data_mut::<f32>());
    let zeros = call.tensor(3)?.data_mut::<f32>();
    let blocks = x.len() / BLOCK;
    if x.len() % BLOCK != 0 || scales.len() != blocks || zeros.len() != blocks || data.len() != x.len() * BITS / 8 {
        return Err(Code::InvalidInput);
    }
    let outs = data.chunks_exact_mut(BLOCK * BITS / 8).zip(scales).zip(zeros);
    for (block, ((data, scale), zero)) in x.chunks_exact(BLOCK).zip(outs) {
        (*scale, *zero) = pack_block::<BITS>(data, block)?;
    }
    Ok(())
}

fn pack_block<const BITS: usize>(data: &mut [u8], block: &[f32]) -> Result<(f32, f32)> {
    let first = f32::load4(block);
    let (mut low, mut high) = (first, first);
    for v in block.chunks_exact(4).map(f32::load4) {
        (low, high) = (f32x4_min(low, v), f32x4_max(high, v));
    }
    let fold = |v: v128, f: fn(v128, v128) -> v128| {
        let pairs = f(v, u32x4_shuffle::<2, 3, 0, 1>(v, v));
        f32x4_extract_lane::<0>(f(pairs, u32x4_shuffle::<1, 0, 3, 2>(pairs, pairs)))
    };
    // `f32x4_min` and `f32x4_max` pass NaN on, so one look at the range finds every value that is not finite.
    let (low, high) = (fold(low, f32x4_min), fold(high, f32x4_max));
    let range = high - low;
    if !range.is_finite() {
        return Err(Code::InvalidInput);
    }
    let steps = ((1u32 << BITS) - 1) as f32;
    let inverse = f32x4_splat(if range > 0.0 { steps / range } else { 0.0 });
    let mut bytes = [0u8; BLOCK];
    for (four, v) in bytes.chunks_exact_mut(4).zip(block.chunks_exact(4)) {
        let q = f32x4_nearest(f32x4_mul(f32x4_sub(f32::load4(v), f32x4_splat(low)), inverse));
        let q = u32x4_trunc_sat_f32x4(f32x4_min(q, f32x4_splat(steps)));
        let narrow = u16x8_narrow_i32x4(q, q);
        four.copy_from_slice(&u32x4_extract_lane::<0>(u8x16_narrow_i16x8(narrow, narrow)).to_le_bytes());
    }
    if BITS == 4 {
        data.iter_mut().zip(bytes.chunks_exact(2)).for_each(|(out, q)| *out = q[0] | (q[1] << 4));
    } else {
        data.iter_mut().zip(bytes).for_each(|(out, q)| *out = q ^ 0x80);
    }
    Ok((range / steps, low))
}

/// ABI 2: inputs data, scales, zeros; output x (f32).
pub fn run_unpack<const BITS: usize>(call: &Call) -> Result<()> {
    let call = call.v2();
    let (data, scales) = (call.tensor(0)?.data::<u8>(), call.tensor(1)?.data::<f32>());
    let (zeros, out) = (call.tensor(2)?.data::<f32>(), call.tensor(3)?.data_mut::<f32>());
    let blocks = out.len() / BLOCK;
    if out.len() % BLOCK != 0 || scales.len() != blocks || zeros.len() != blocks || data.len() != out.len() * BITS / 8 {
        return Err(Code::InvalidInput);
    }
    let ins = data.chunks_exact(BLOCK * BITS / 8).zip(scales.iter().zip(zeros));
    for (out, (data, (scale, zero))) in out.chunks_exact_mut(BLOCK).zip(ins) {
        if BITS == 4 { unpack4(out, data, *scale, *zero) } else { unpack8(out, data, *scale, *zero) }
    }
    Ok(())
}

/// Sixteen bytes to sixteen f32.
#[inline(always)]
fn spread(out: &mut [f32], bytes: v128, scale: f32, zero: f32) {
    let (scale, zero) = (f32x4_splat(scale), f32x4_splat(zero));
    let (low, high) = (u16x8_extend_low_u8x16(bytes), u16x8_extend_high_u8x16(bytes));
    let quarters = [u32x4_extend_low_u16x8(low), u32x4_extend_high_u16x8(low), u32x4_extend_low_u16x8(high), u32x4_extend_high_u16x8(high)];
    for (out, q) in out.chunks_exact_mut(4).zip(quarters) {
        f32::store4(out, f32x4_add(f32x4_mul(f32x4_convert_u32x4(q), scale), zero));
    }
}

#[inline(always)]
fn load16(bytes: &[u8]) -> v128 {
    // SAFETY: sixteen bytes.
    unsafe { v128_load(bytes[..16].as_ptr().cast()) }
}

fn unpack8(out: &mut [f32], data: &[u8], scale: f32, zero: f32) {
    for (out, bytes) in out.chunks_exact_mut(16).zip(data.chunks_exact(16)) {
        spread(out, v128_xor(load16(bytes), u8x16_splat(0x80)), scale, zero);
    }
}

fn unpack4(out: &mut [f32], data: &[u8], scale: f32, zero: f32) {
    let bytes = load16(data);
    let (low, high) = (v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4));
    let first = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(low, high);
    let second = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(low, high);
    spread(&mut out[..16], first, scale, zero);
    spread(&mut out[16..], second, scale, zero);
}
