//! Parameters in fewer bits, as files store them.
use crate::error::{NnError, Result};
use mayfly_format::model_file::{Tensor, TensorData};
use mayfly_graph::Precision;
use mayfly_kernels as k;

/// bf16 of the nearest value, ties to even; NaN stays NaN.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn unfit(name: &str, at: usize, value: f32, precision: &str) -> NnError {
    NnError::BadModel {
        file: "model".to_owned(),
        what: format!(
            "element {at} of {name} is {value:e}, which {precision} cannot hold: keep f32, or train the network again"
        ),
    }
}

/// Adds a parameter to `tensors` at the given precision; int8 comes with a tensor of scales, one for each row. The names are the parameter's and that of its scales.
pub(crate) fn quantise(
    [name, scale_name]: [&str; 2],
    shape: &[usize],
    values: &[f32],
    precision: Precision,
    tensors: &mut Vec<Tensor>,
) -> Result<()> {
    let tensor = |name: String, shape: &[usize], data| Tensor { name, shape: shape.to_vec(), data };
    match precision {
        Precision::F32 => tensors.push(tensor(name.to_owned(), shape, TensorData::F32(values.to_vec()))),
        Precision::Bf16 => {
            let bits: Vec<u16> = values.iter().copied().map(to_bf16).collect();
            let grew = |(v, b): (&f32, &u16)| v.is_finite() && !from_bf16(*b).is_finite();
            if let Some(at) = values.iter().zip(&bits).position(grew) {
                return Err(unfit(name, at, values[at], "bf16, whose largest number is 3.3895314e38,"));
            }
            tensors.push(tensor(name.to_owned(), shape, TensorData::BF16(bits)));
        }
        Precision::Int8 => {
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(unfit(name, at, values[at], "int8"));
            }
            let rows = shape.first().copied().unwrap_or(1).max(1);
            let mut q = vec![0_i8; values.len()];
            let len = (values.len() / rows).max(1);
            let scales: Vec<f32> =
                q.chunks_mut(len).zip(values.chunks(len)).map(|(q, w)| k::quantize_i8(q, w)).collect();
            tensors.push(tensor(name.to_owned(), shape, TensorData::I8(q)));
            tensors.push(tensor(scale_name.to_owned(), &[rows], TensorData::F32(scales)));
        }
    }
    Ok(())
}

/// The values that a stored parameter stands for.
pub(crate) fn dequantise(
    tensor: Tensor,
    scale_name: &str,
    scales: Option<Tensor>,
) -> std::result::Result<Vec<f32>, String> {
    let name = tensor.name;
    match (tensor.data, scales.map(|s| s.data)) {
        (TensorData::F32(values), None) => Ok(values),
        (TensorData::BF16(bits), None) => Ok(bits.into_iter().map(from_bf16).collect()),
        (TensorData::F64(values), None) => Ok(values.into_iter().map(|v| v as f32).collect()),
        (TensorData::I8(q), Some(TensorData::F32(scales))) => {
            let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
            if scales.len() != rows {
                return Err(format!("{} scales for the {rows} rows of {name:?}", scales.len()));
            }
            let len = (q.len() / rows).max(1);
            Ok(q.chunks(len)
                .zip(scales)
                .flat_map(|(row, scale)| row.iter().map(move |v| f32::from(*v) * scale))
                .collect())
        }
        (TensorData::I8(_), None) => Err(format!("the tensor {name:?} is int8 and {scale_name:?} is missing")),
        (data, scales) => {
            let with = scales.map_or(String::new(), |s| format!(" with scales of {}", s.dtype().name()));
            Err(format!(
                "the tensor {name:?} holds {}{with}; parameters are F32, BF16, F64, or I8 with F32 scales",
                data.dtype().name()
            ))
        }
    }
}
