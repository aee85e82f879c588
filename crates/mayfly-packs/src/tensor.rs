//! Tensors as they cross the boundary: little-endian bytes with a type and a shape.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// The upper half of a single.
    Bf16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// Signed 8-bit values of blocks.
    Q8,
    /// Unsigned 4-bit values, two a byte, the low half first.
    Q4,
}

impl DType {
    /// The number in a tensor reference of ABI 2.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 2,
            Self::I32 => 3,
            Self::I8 => 4,
            Self::U8 => 5,
            Self::Q8 => 6,
            Self::Q4 => 7,
        }
    }

    /// Bytes of `elements`; `None` for an odd number of 4-bit ones and on overflow.
    pub fn bytes(self, elements: u64) -> Option<u64> {
        match self {
            Self::F32 | Self::I32 => elements.checked_mul(4),
            Self::F16 | Self::Bf16 => elements.checked_mul(2),
            Self::I8 | Self::U8 | Self::Q8 => Some(elements),
            Self::Q4 => elements.is_multiple_of(2).then_some(elements / 2),
        }
    }

    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I32 => "i32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }
}

/// A tensor that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorView<'a> {
    /// Type of an element.
    pub dtype: DType,
    /// At most eight dimensions.
    pub shape: &'a [usize],
    /// Dense, row-major, little-endian.
    pub data: &'a [u8],
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Type of an element.
    pub dtype: DType,
    /// At most eight dimensions.
    pub shape: Vec<usize>,
    /// Dense, row-major, little-endian.
    pub data: Vec<u8>,
}

impl Tensor {
    /// An f32 tensor.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { dtype: DType::F32, shape: shape.to_vec(), data }
    }

    /// An f16 tensor of values rounded to nearest.
    pub fn from_f16(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        Self { dtype: DType::F16, shape: shape.to_vec(), data }
    }

    /// What the tensor holds, borrowed.
    pub fn view(&self) -> TensorView<'_> {
        TensorView { dtype: self.dtype, shape: &self.shape, data: &self.data }
    }

    /// Its elements as numbers.
    pub fn to_f64(&self) -> Vec<f64> {
        let four = |bytes: &[u8]| [bytes[0], bytes[1], bytes[2], bytes[3]];
        let two = |bytes: &[u8]| [bytes[0], bytes[1]];
        match self.dtype {
            DType::F32 => self.data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(four(b)))).collect(),
            DType::I32 => self.data.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(four(b)))).collect(),
            DType::F16 => self.data.chunks_exact(2).map(|b| f16::from_le_bytes(two(b)).to_f64()).collect(),
            DType::Bf16 => self.data.chunks_exact(2).map(|b| bf16::from_le_bytes(two(b)).to_f64()).collect(),
            DType::I8 | DType::Q8 => self.data.iter().map(|b| f64::from(b.cast_signed())).collect(),
            DType::U8 => self.data.iter().map(|b| f64::from(*b)).collect(),
            DType::Q4 => self.data.iter().flat_map(|b| [f64::from(b & 15), f64::from(b >> 4)]).collect(),
        }
    }

    /// The elements of an f32 or f16 tensor; of others as numbers.
    pub fn to_f32(&self) -> Vec<f32> {
        self.to_f64().into_iter().map(|v| v as f32).collect()
    }
}

/// The distance of two values in units of the last place of `dtype` (steps for integers). Values that are both tiny
/// (below 2^-40, for f16 2^-14) are 0 apart, two NaNs too; a NaN and a number are as far apart as can be.
pub fn ulp_distance(dtype: DType, a: f64, b: f64) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    let tiny = if dtype == DType::F16 { 2f64.powi(-14) } else { 2f64.powi(-40) };
    // The magnitude's bits grow with the magnitude; with the sign they lie on one line.
    let magnitude = |v: f64| match dtype {
        DType::F32 => i64::from((v as f32).abs().to_bits()),
        DType::F16 => i64::from(f16::from_f64(v.abs()).to_bits()),
        DType::Bf16 => i64::from(bf16::from_f64(v.abs()).to_bits()),
        _ => v.abs() as i64,
    };
    let place = |v: f64| if v < 0.0 { -magnitude(v) } else { magnitude(v) };
    let is_float = matches!(dtype, DType::F32 | DType::F16 | DType::Bf16);
    if is_float && a.abs() < tiny && b.abs() < tiny { 0 } else { place(a).abs_diff(place(b)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let next = f64::from(f32::from_bits(1f32.to_bits() + 1));
        assert_eq!(ulp_distance(DType::F32, 1.0, next), 1);
        assert_eq!(ulp_distance(DType::F32, -1.0, -next), 1);
        assert_eq!(ulp_distance(DType::F32, 1.0, -1.0), 2 * u64::from(1f32.to_bits()));
        assert_eq!(ulp_distance(DType::F16, 1.0, 1.0 + 2f64.powi(-10)), 1);
        assert_eq!(ulp_distance(DType::F32, 1e-20, -1e-20), 0);
        assert_eq!(ulp_distance(DType::F32, f64::NAN, f64::NAN), 0);
        assert_eq!(ulp_distance(DType::F32, f64::NAN, 1.0), u64::MAX);
        assert_eq!(ulp_distance(DType::Q8, -3.0, 4.0), 7);
        assert!(ulp_distance(DType::F32, f64::INFINITY, f64::from(f32::MAX)) == 1);
    }

    #[test]
    fn elements() {
        let q4 = Tensor { dtype: DType::Q4, shape: vec![4], data: vec![0x21, 0xF3] };
        assert_eq!(q4.to_f64(), [1.0, 2.0, 3.0, 15.0]);
        assert_eq!(Tensor::from_f16(&[2], &[1.5, -2.0]).to_f32(), [1.5, -2.0]);
        assert_eq!(DType::Q4.bytes(3), None);
        assert_eq!(DType::F32.bytes(u64::MAX), None);
    }
}
