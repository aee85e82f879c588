//! Dropout with a mask that is a function of where and when, so that nothing needs to be stored for the backward pass.

use crate::Isa;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use mayfly_base::split_mix;

/// The constant of its key schedule.
const PARITY: u32 = 0x1bd1_1bda;

/// The key schedule for one step of one seed.
#[derive(Clone, Copy)]
struct Key([i32; 3]);

impl Key {
    fn new(seed: u64, step: u64) -> Self {
        // Two finalisers of SplitMix64 (Steele, Lea and Flood, 2014): neighbouring seeds and steps give unrelated keys.
        let key = split_mix(split_mix(seed) ^ step);
        let (low, high) = (key as u32, (key >> 32) as u32);
        Self([low as i32, high as i32, (low ^ high ^ PARITY) as i32])
    }
}

/// One round: add, rotate, xor.
#[inline(always)]
fn round<S: Simd, const LEFT: u32, const RIGHT: u32>(s: S, [a, b]: [S::I32; 2]) -> [S::I32; 2] {
    let a = s.add_i32(a, b);
    let b = s.or_i32(s.shl_i32::<LEFT>(b), s.shr_i32::<RIGHT>(b));
    [a, s.xor_i32(a, b)]
}

/// Adds subkey `i`.
#[inline(always)]
fn inject<S: Simd>(s: S, [a, b]: [S::I32; 2], key: Key, i: usize) -> [S::I32; 2] {
    let (k0, k1) = (key.0[i % 3], key.0[(i + 1) % 3]);
    [s.add_i32(a, s.splat_i32(k0)), s.add_i32(b, s.splat_i32(k1.wrapping_add(i as i32)))]
}

/// Threefry-2x32 with 13 rounds (Salmon et al., 2011), the fewest that pass their whole battery of tests: two random words
/// for each pair of counter words.
#[inline(always)]
fn threefry<S: Simd>(s: S, counter: [S::I32; 2], key: Key) -> [S::I32; 2] {
    let v = inject(s, counter, key, 0);
    let v = round::<S, 13, 19>(s, v);
    let v = round::<S, 15, 17>(s, v);
    let v = round::<S, 26, 6>(s, v);
    let v = round::<S, 6, 26>(s, v);
    let v = inject(s, v, key, 1);
    let v = round::<S, 17, 15>(s, v);
    let v = round::<S, 29, 3>(s, v);
    let v = round::<S, 16, 16>(s, v);
    let v = round::<S, 24, 8>(s, v);
    let v = inject(s, v, key, 2);
    let v = round::<S, 13, 19>(s, v);
    let v = round::<S, 15, 17>(s, v);
    let v = round::<S, 26, 6>(s, v);
    let v = round::<S, 6, 26>(s, v);
    let v = inject(s, v, key, 3);
    round::<S, 17, 15>(s, v)
}

/// Elements that share a run of counters: one group takes its first half from the first words and its second from the second.
/// It must not depend on the instruction set, or the masks would.
const GROUP: usize = 32;

/// `x * scale` where the word's upper 24 bits reach `bar`, else 0.
#[inline(always)]
fn keep<S: Simd>(s: S, x: S::F32, word: S::I32, bar: S::F32, scale: S::F32) -> S::F32 {
    let draw = s.i32_to_f32(s.shr_i32::<8>(word));
    s.select(s.lt(draw, bar), s.zero(), s.mul(x, scale))
}

#[inline(always)]
fn dropout_body<S: Simd>(s: S, y: &mut [f32], x: &[f32], bar: f32, scale: f32, key: Key) {
    let (bar, scale) = (s.splat(bar), s.splat(scale));
    let lanes = s.f32_to_i32(s.lanes());
    for (group, (y, x)) in y.chunks_mut(GROUP).zip(x.chunks(GROUP)).enumerate() {
        let (low, high) = x.split_at(x.len().min(GROUP / 2));
        let (y_low, y_high) = y.split_at_mut(low.len());
        for at in (0..low.len()).step_by(S::N) {
            let counter = group * (GROUP / 2) + at;
            let first = s.add_i32(lanes, s.splat_i32(counter as u32 as i32));
            let second = s.splat_i32((counter as u64 >> 32) as i32);
            let words = threefry(s, [first, second], key);
            let to = (at + S::N).min(low.len());
            s.put(&mut y_low[at..to], keep(s, s.get(&low[at..to]), words[0], bar, scale));
            if at < high.len() {
                let to = (at + S::N).min(high.len());
                s.put(&mut y_high[at..to], keep(s, s.get(&high[at..to]), words[1], bar, scale));
            }
        }
    }
}

/// Drops each element with probability `p` and scales the others by `1 / (1 - p)` (Srivastava et al., 2014).
///
/// What is dropped depends on `seed`, `step` and the element's position only, on every instruction set alike; the gradient
/// is the same function of `dy`. `p` is rounded to a multiple of 2⁻²⁴; at 1 or more everything is dropped, and at 0, below
/// or NaN nothing.
pub fn dropout_fwd(isa: Isa, y: &mut [f32], x: &[f32], p: f32, seed: u64, step: u64) {
    assert!(y.len() == x.len(), "dropout_fwd: y and x differ in length");
    if !(p > 0.0) {
        return y.copy_from_slice(x);
    }
    if p >= 1.0 {
        return y.fill(0.0);
    }
    let (bar, scale, key) = (libm::rintf(p * 16_777_216.0), 1.0 / (1.0 - p), Key::new(seed, step));
    dispatch!(isa, dropout_body(y: &mut [f32], x: &[f32], bar: f32, scale: f32, key: Key));
}

/// Gradient of [`dropout_fwd`]: the same mask on `dy`.
pub fn dropout_bwd(isa: Isa, dx: &mut [f32], dy: &[f32], p: f32, seed: u64, step: u64) {
    dropout_fwd(isa, dx, dy, p, seed, step);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::scalar::Scalar;

    /// Known answers of Threefry-2x32 with 13 rounds, from the authors' Random123 library.
    #[test]
    fn threefry_known_answers() {
        let key = |low: u32, high: u32| Key([low as i32, high as i32, (low ^ high ^ PARITY) as i32]);
        let run = |counter: [u32; 2], key| threefry(Scalar, counter.map(|c| c as i32), key).map(|w| w as u32);
        assert_eq!(run([0, 0], key(0, 0)), [0x9d1c_5ec6, 0x8bd5_0731]);
        assert_eq!(run([u32::MAX; 2], key(u32::MAX, u32::MAX)), [0xfd36_d048, 0x2d17_272c]);
        let pi = run([0x243f_6a88, 0x85a3_08d3], key(0x1319_8a2e, 0x0370_7344));
        assert_eq!(pi, [0xba3e_4725, 0xf27d_669e]);
    }
}
