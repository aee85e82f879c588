//! Inputs to measure a kernel with: sizes for the symbols, values that any kernel can take.
use anyhow::{Context, Result};
use mayfly_packs::{DType, KernelEntry, Tensor, TensorSpec};

/// Small: a call's own cost. Usual: a layer of a small language model.
#[derive(Clone, Copy)]
pub enum Size {
    Small,
    Usual,
}

/// The size that stands for a symbol.
fn symbol(name: &str, size: Size) -> u64 {
    match (size, name) {
        (Size::Small, "dim" | "n" | "in" | "out") => 32,
        (Size::Small, _) => 1,
        (Size::Usual, "n") => 65_536,
        (Size::Usual, "in" | "out") => 512,
        (Size::Usual, "rank") => 16,
        (Size::Usual, "heads") => 8,
        (Size::Usual, "dim") => 128,
        (Size::Usual, _) => 64,
    }
}

/// Inputs for a kernel.
pub fn inputs(kernel: &KernelEntry, size: Size) -> Result<Vec<Tensor>> {
    kernel.inputs.iter().map(|spec| tensor(spec, size)).collect()
}

fn tensor(spec: &TensorSpec, size: Size) -> Result<Tensor> {
    let dims = spec.shape.iter().map(|dim| value(&dim.to_string(), size)).collect::<Option<Vec<u64>>>();
    let shape: Vec<usize> =
        dims.with_context(|| format!("no size for {:?}", spec.shape))?.iter().map(|d| *d as usize).collect();
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    Ok(match spec.dtype {
        DType::F32 => Tensor::from_f32(&shape, &values),
        DType::F16 => Tensor::from_f16(&shape, &values),
        dtype => {
            let bytes = dtype.bytes(n as u64).context("an odd number of 4-bit values")? as usize;
            Tensor { dtype, shape, data: (0..bytes).map(|i| (i * 31 % 251) as u8).collect() }
        }
    })
}

/// The value of `seq*dim/32`, from left to right.
fn value(text: &str, size: Size) -> Option<u64> {
    let text = text.trim_matches('"');
    let term = |t: &str| t.parse().unwrap_or_else(|_| symbol(t, size));
    let (mut total, mut rest, mut divides) = (1u64, text, false);
    loop {
        let end = rest.find(['*', '/']).unwrap_or(rest.len());
        let factor = term(&rest[..end]);
        total = if divides { total.checked_div(factor)? } else { total.checked_mul(factor)? };
        match rest.as_bytes().get(end) {
            Some(sign) => divides = *sign == b'/',
            None => return Some(total),
        }
        rest = &rest[end + 1..];
    }
}
