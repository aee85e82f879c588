//! What the kernel tests share: reproducible numbers, misaligned slices, and comparisons that can fail.
#![allow(dead_code)] // each test file uses its own part
use mayfly_kernels::{Buffer, Isa};

/// A reproducible stream of numbers.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    pub fn uniform(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Integers in `-max..=max`: sums of their products are exact in f32 in any order.
    pub fn integers(&mut self, len: usize, max: usize) -> Vec<f32> {
        (0..len).map(|_| self.below(2 * max + 1) as f32 - max as f32).collect()
    }

    pub fn vec(&mut self, len: usize, lo: f32, hi: f32) -> Vec<f32> {
        (0..len).map(|_| self.uniform(lo, hi)).collect()
    }
}

/// A slice `shift` elements past a cache line, with a guard on either side.
pub struct Shifted {
    memory: Buffer<f32>,
    shift: usize,
    len: usize,
}

const GUARD: f32 = -77.25;

impl Shifted {
    pub fn new(values: &[f32], shift: usize) -> Self {
        let mut memory = Buffer::<f32>::zeroed(values.len() + shift + 16);
        memory.fill(GUARD);
        memory[shift..shift + values.len()].copy_from_slice(values);
        Self { memory, shift, len: values.len() }
    }

    /// `len` elements that a kernel must overwrite.
    pub fn output(len: usize, shift: usize) -> Self {
        Self::new(&vec![f32::NAN; len], shift)
    }

    pub fn get(&self) -> &[f32] {
        &self.memory[self.shift..self.shift + self.len]
    }

    pub fn get_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.shift..self.shift + self.len]
    }

    /// Writes where a kernel must not: `at` counts from the start of the slice.
    pub fn poke(&mut self, at: isize, value: f32) {
        self.memory[self.shift.wrapping_add_signed(at)] = value;
    }

    /// Nothing outside the slice was touched.
    pub fn check_guards(&self) {
        let outside = self.memory[..self.shift].iter().chain(&self.memory[self.shift + self.len..]);
        assert!(outside.into_iter().all(|v| *v == GUARD), "a kernel wrote outside its slice");
    }
}

/// Every length up to 257, with shifts that go through all offsets within a cache line.
pub fn lengths() -> impl Iterator<Item = (usize, usize)> {
    (0..=257).map(|len| (len, len % 16 + usize::from(len % 3 == 0)))
}

pub fn isas() -> Vec<Isa> {
    Isa::available().collect()
}

/// The distance of `got` from `want` in units in the last place of `want`.
pub fn ulps(got: f32, want: f64) -> f64 {
    let near = want as f32;
    if near.is_nan() || got.is_nan() {
        return if near.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if near.is_infinite() || got.is_infinite() {
        // One step beyond the largest number is infinity.
        let bits = |v: f32| i64::from(v.abs().to_bits());
        let same_sign = near.is_sign_negative() == got.is_sign_negative();
        return if same_sign { (bits(near) - bits(got)).abs() as f64 } else { f64::INFINITY };
    }
    let exponent = (i64::from(near.abs().to_bits() >> 23)).max(1);
    let unit = 2f64.powi(exponent as i32 - 150);
    (f64::from(got) - want).abs() / unit
}

/// Asserts `|got - want| <= absolute + relative * |want|` throughout. NaN equals NaN only, infinity itself only.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f32], absolute: f32, relative: f32) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let off = (g - w).abs();
        let near = (g.is_nan() && w.is_nan()) || g == w || w.is_finite() && off <= absolute + relative * w.abs();
        assert!(near, "{what}: element {i} is {g:e}, want {w:e}, off by {off:e}");
    }
}

/// Asserts `|got - want| <= bound` element by element. NaN equals NaN only, infinity itself only.
#[track_caller]
pub fn assert_within(what: &str, got: &[f32], want: &[f64], bounds: impl IntoIterator<Item = f64>) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let mut bounds = bounds.into_iter();
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let (g, bound) = (f64::from(g), bounds.next().expect("a bound for each element"));
        let near = (g.is_nan() && w.is_nan()) || g == w || w.is_finite() && (g - w).abs() <= bound;
        assert!(near, "{what}: element {i} is {g:e}, want {w:e}, off by {:e} of {bound:e}", (g - w).abs());
    }
}

/// Asserts equality where every value is exact; zeros of either sign are equal, NaN equals NaN.
#[track_caller]
pub fn assert_exact(what: &str, got: &[f32], want: &[f64]) {
    assert_within(what, got, want, want.iter().map(|_| 0.0));
}

/// What a sum of `n` rounded products may be off by, whatever its order, as a multiple of the sum of their absolute values.
pub fn sum_bound(n: usize) -> f64 {
    (n + 2) as f64 * 2f64.powi(-24)
}

pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

pub fn magnitudes(x: &[f32]) -> Vec<f32> {
    x.iter().map(|v| v.abs()).collect()
}

/// Asserts equality to the last bit.
#[track_caller]
pub fn assert_same_bits(what: &str, got: &[f32], want: &[f32]) {
    let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let differ = got.iter().zip(want).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(bits(got), bits(want), "{what}: first difference at {differ:?}");
}

/// The rows of a golden file as strings, without its header.
pub fn golden(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}
