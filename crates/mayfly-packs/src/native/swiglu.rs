//! The gate of SwiGLU layers (Shazeer 2020): silu(gate) * up.

use super::{NativeCall, math::exp, output, same, write_floats};

/// `out = gate / (1 + e^-gate) * up`, element by element.
pub fn swiglu(out: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
        *out = g / (1.0 + exp(-g)) * u;
    }
}

pub(super) fn run(call: &NativeCall<'_>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
    let (gate, up) = (call.floats(0)?, call.floats(1)?);
    same("elements of `up`", gate.len(), up.len())?;
    let view = call.input(0)?;
    let out = output(outputs, 0, view.data.len())?;
    write_floats(out, view.dtype, |out| swiglu(out, &gate, &up));
    Ok(())
}
