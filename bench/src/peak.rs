//! The machine's peak of f32 fused multiply-adds on one thread, measured: chains of them in registers, nothing else.

use crate::cases::Work;
use crate::contest::Contestant;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Independent chains: more than latency times throughput of any current core, and few enough for its registers.
const CHAINS: usize = 12;

/// A loop that does `steps` of `CHAINS` vector fused multiply-adds.
type Loop = fn(steps: u64) -> f32;

struct Peak {
    run: Loop,
    name: &'static str,
    steps_per_call: u64,
}

/// Calls that each do as many floating-point operations as the product of two `n` by `n` matrices.
pub fn contestant(work: Work) -> Result<Box<dyn Contestant>> {
    let Work::Gemm { n } = work else { bail!("the FMA peak is for products") };
    let (run, lanes, name) = best()?;
    let operations = 2 * (n as u64).pow(3);
    Ok(Box::new(Peak { run, name, steps_per_call: operations / (2 * lanes * CHAINS as u64) }))
}

impl Contestant for Peak {
    fn how(&self) -> String {
        format!("{CHAINS} independent {} chains in registers, as many operations as the product", self.name)
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let start = Instant::now();
        std::hint::black_box((self.run)(std::hint::black_box(calls * self.steps_per_call)));
        Ok(start.elapsed())
    }
}

#[cfg(target_arch = "x86_64")]
fn best() -> Result<(Loop, u64, &'static str)> {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512F.
        return Ok((|steps| unsafe { x86::avx512(steps) }, 16, "AVX-512 FMA"));
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the CPU has AVX2 and FMA.
        return Ok((|steps| unsafe { x86::avx2(steps) }, 8, "AVX2 FMA"));
    }
    bail!("this CPU has neither AVX-512 nor AVX2 with FMA: no peak to measure")
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Result<(Loop, u64, &'static str)> {
    bail!("the FMA peak is measured on x86-64 only so far")
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::CHAINS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// # Safety
    /// The CPU must have AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn avx512(steps: u64) -> f32 {
        let (a, b) = (_mm512_set1_ps(black_box(0.999_999)), _mm512_set1_ps(black_box(1e-6)));
        let mut chains = black_box([_mm512_set1_ps(1.0); CHAINS]); // else one chain would do for all
        for _ in 0..steps {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, a, b);
            }
        }
        chains.into_iter().map(|chain| _mm512_reduce_add_ps(chain)).sum()
    }

    /// # Safety
    /// The CPU must have AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(steps: u64) -> f32 {
        let (a, b) = (_mm256_set1_ps(black_box(0.999_999)), _mm256_set1_ps(black_box(1e-6)));
        let mut chains = black_box([_mm256_set1_ps(1.0); CHAINS]);
        for _ in 0..steps {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, a, b);
            }
        }
        chains.into_iter().map(|chain| _mm256_cvtss_f32(chain)).sum()
    }
}
