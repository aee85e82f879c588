//! silu(gate) * up.

use crate::abi::{Call, Code, Result};
use crate::elem::Elem;
use crate::math::{each, exp_neg};
use core::arch::wasm32::*;

/// Vectors that are computed together.
const VECTORS: usize = 4;
const STEP: usize = 4 * VECTORS;

/// ABI 1: inputs gate, up; output y.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let (gate, up, out) = (call.input_a::<T>(), call.input_b::<T>(), call.output::<T>());
    if gate.len() != up.len() || out.len() != up.len() {
        return Err(Code::InvalidInput);
    }
    let whole = gate.len() - gate.len() % STEP;
    let chunks = gate.chunks_exact(STEP).zip(up.chunks_exact(STEP));
    for (out, (gate, up)) in out.chunks_exact_mut(STEP).zip(chunks) {
        // SAFETY: each chunk has four elements for each vector.
        let load = |from: &[T]| core::array::from_fn(|i| unsafe { T::load(from.as_ptr().add(4 * i)) });
        let y: [v128; VECTORS] = silu(load(gate), load(up));
        // SAFETY: as above.
        y.into_iter().enumerate().for_each(|(i, y)| unsafe { T::store(out.as_mut_ptr().add(4 * i), y) });
    }
    for i in whole..gate.len() {
        let [y] = silu([f32x4_splat(gate[i].to_f32())], [f32x4_splat(up[i].to_f32())]);
        out[i] = T::from_f32(f32x4_extract_lane::<0>(y));
    }
    Ok(())
}

#[inline(always)]
fn silu<const N: usize>(gate: [v128; N], up: [v128; N]) -> [v128; N] {
    let below = exp_neg(gate).map(|e| f32x4_add(f32x4_splat(1.0), e));
    let sigmoid = each(gate, below, |gate, below| f32x4_div(gate, below));
    each(sigmoid, up, |gated, up| f32x4_mul(gated, up))
}
