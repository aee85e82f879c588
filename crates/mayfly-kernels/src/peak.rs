//! How fast this machine can multiply and add: the yardstick that measurements of the other kernels are held against.
use crate::Isa;
use crate::simd::{Simd, dispatch};

/// Independent chains: enough to hide the latency of two multipliers.
const CHAINS: usize = 12;

/// Runs `rounds` rounds of multiplications and additions in registers and returns their number of floating-point operations.
///
/// Time it to learn the peak of one core: operations divided by seconds.
pub fn fma_peak(isa: Isa, rounds: usize) -> u64 {
    let start = core::hint::black_box(1.0);
    core::hint::black_box(dispatch!(isa, chains(start: f32, rounds: usize) -> f32));
    (rounds * CHAINS * lanes(isa) * 2) as u64
}

fn lanes(isa: Isa) -> usize {
    dispatch!(isa, lanes_of() -> usize)
}

#[inline(always)]
fn lanes_of<S: Simd>(_s: S) -> usize {
    S::N
}

#[inline(always)]
fn chains<S: Simd>(s: S, start: f32, rounds: usize) -> f32 {
    let (factor, term) = (s.splat(start), s.splat(start * 1e-9));
    let mut sums = [s.zero(); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = s.mul_add(*sum, factor, term);
        }
    }
    s.reduce_sum(sums.into_iter().fold(s.zero(), |a, b| s.add(a, b)))
}
