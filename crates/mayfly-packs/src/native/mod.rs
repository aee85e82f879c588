//! Native references of the thirteen core kernels: what answers when a kernel fails, and what kernels are timed against.
//!
//! Each is plain Rust over slices, single-threaded, written so that the compiler can vectorise it. f16 and quantised
//! forms convert, compute in f32 and convert back, as the guests do.

mod kv;
mod lora;
mod math;
mod rmsnorm;
mod rope;
mod swiglu;

use crate::tensor::{DType, TensorView};
use half::f16;
use std::borrow::Cow;

pub use kv::{BLOCK, kv_pack, kv_unpack};
pub use lora::lora_apply;
pub use rmsnorm::rmsnorm;
pub use rope::{RopeLayout, rope};
pub use swiglu::swiglu;

/// A call of a native reference.
#[derive(Clone, Copy, Debug)]
pub struct NativeCall<'a> {
    /// In the manifest's order.
    pub inputs: &'a [TensorView<'a>],
    /// Four bytes each, in the order of names.
    pub params: &'a [u8],
}

/// A native reference; the error says what of the call it cannot use.
pub type NativeKernel = fn(&NativeCall<'_>, &mut [&mut [u8]]) -> Result<(), String>;

/// A reference by the name that follows `native:` in a manifest.
pub fn find(name: &str) -> Option<NativeKernel> {
    Some(match name {
        "rope_f32" | "rope_f16" => rope::run,
        "rope_q8" => rope::run_q8,
        "rmsnorm_f32" | "rmsnorm_f16" => rmsnorm::run,
        "swiglu_f32" | "swiglu_f16" => swiglu::run,
        "kv_pack_q4" => kv::run_pack::<4>,
        "kv_pack_q8" => kv::run_pack::<8>,
        "kv_unpack_q4" => kv::run_unpack::<4>,
        "kv_unpack_q8" => kv::run_unpack::<8>,
        "lora_apply_f32" | "lora_apply_f16" => lora::run,
        _ => return None,
    })
}

impl<'a> NativeCall<'a> {
    fn input(&self, i: usize) -> Result<&TensorView<'a>, String> {
        self.inputs.get(i).ok_or_else(|| format!("input {i} is missing"))
    }

    /// The elements of a float input, without a copy for aligned f32.
    fn floats(&self, i: usize) -> Result<Cow<'a, [f32]>, String> {
        let view = self.input(i)?;
        match view.dtype {
            DType::F32 => {
                Ok(bytemuck::try_cast_slice(view.data).map_or_else(|_| Cow::Owned(read_f32(view.data)), Cow::Borrowed))
            }
            DType::F16 => Ok(Cow::Owned(read_f16(view.data))),
            other => Err(format!("input {i}: expected f32 or f16, found {}", other.name())),
        }
    }

    fn dims<const N: usize>(&self, i: usize) -> Result<[usize; N], String> {
        let shape = self.input(i)?.shape;
        shape.try_into().map_err(|_| format!("input {i}: expected {N} dimensions, found {}", shape.len()))
    }

    fn word(&self, i: usize) -> Result<[u8; 4], String> {
        let bytes = self.params.get(4 * i..4 * i + 4).and_then(|b| b.try_into().ok());
        bytes.ok_or_else(|| format!("parameter {i} is missing"))
    }
}

fn read_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn read_f16(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

/// Lets `compute` fill an output of the type, in place for aligned f32.
fn write_floats(out: &mut [u8], dtype: DType, compute: impl FnOnce(&mut [f32])) {
    if dtype == DType::F16 {
        let mut values = vec![0.0; out.len() / 2];
        compute(&mut values);
        out.chunks_exact_mut(2).zip(values).for_each(|(b, v)| b.copy_from_slice(&f16::from_f32(v).to_le_bytes()));
        return;
    }
    if let Ok(values) = bytemuck::try_cast_slice_mut(out) {
        return compute(values);
    }
    let mut values = vec![0.0; out.len() / 4];
    compute(&mut values);
    out.chunks_exact_mut(4).zip(values).for_each(|(b, v)| b.copy_from_slice(&v.to_le_bytes()));
}

/// An output, which must have the length that the inputs ask for.
fn output<'a>(outputs: &'a mut [&mut [u8]], i: usize, bytes: usize) -> Result<&'a mut [u8], String> {
    let out = outputs.get_mut(i).ok_or_else(|| format!("output {i} is missing"))?;
    if out.len() == bytes { Ok(out) } else { Err(format!("output {i}: expected {bytes} bytes, found {}", out.len())) }
}

fn same(what: &str, expected: usize, found: usize) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}
