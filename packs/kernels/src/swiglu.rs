//! silu(gate) * up.

use crate::abi::{Call, Code, Result};
use crate::elem::Elem;
use crate::math::exp;
use core::arch::wasm32::*;

/// ABI 1: inputs gate, up; output y.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let (gate, up, out) = (call.input_a::<T>(), call.input_b::<T>(), call.output::<T>());
    if gate.len() != up.len() || out.len() != up.len() {
        return Err(Code::InvalidInput);
    }
    let n = gate.len() / 4 * 4;
    let mut i = 0;
    while i < n {
        T::store4(&mut out[i..], silu(T::load4(&gate[i..]), T::load4(&up[i..])));
        i += 4;
    }
    for i in n..gate.len() {
        let y = silu(f32x4_splat(gate[i].to_f32()), f32x4_splat(up[i].to_f32()));
        out[i] = T::from_f32(f32x4_extract_lane::<0>(y));
    }
    Ok(())
}

#[inline(always)]
fn silu(gate: v128, up: v128) -> v128 {
    let below = f32x4_add(f32x4_splat(1.0), exp(f32x4_neg(gate)));
    f32x4_mul(f32x4_div(gate, below), up)
}
