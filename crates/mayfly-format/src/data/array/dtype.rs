//! The number types of IDX and npy arrays.

/// A number type, without its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtype {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl Dtype {
    /// Bytes of one value.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// Calls `each` with every value in `bytes`, whose length is a multiple of the size.
    pub(super) fn decode(self, order: ByteOrder, bytes: &[u8], each: impl FnMut(f64)) {
        match self {
            Self::Bool => values(bytes, order, |[b]: [u8; 1]| f64::from(u8::from(b != 0)), each),
            Self::U8 => values(bytes, order, |[b]: [u8; 1]| f64::from(b), each),
            Self::I8 => values(bytes, order, |b| f64::from(i8::from_le_bytes(b)), each),
            Self::I16 => values(bytes, order, |b| f64::from(i16::from_le_bytes(b)), each),
            Self::U16 => values(bytes, order, |b| f64::from(u16::from_le_bytes(b)), each),
            Self::I32 => values(bytes, order, |b| f64::from(i32::from_le_bytes(b)), each),
            Self::U32 => values(bytes, order, |b| f64::from(u32::from_le_bytes(b)), each),
            Self::I64 => values(bytes, order, |b| i64::from_le_bytes(b) as f64, each),
            Self::U64 => values(bytes, order, |b| u64::from_le_bytes(b) as f64, each),
            Self::F16 => values(bytes, order, |b| f64::from(half::f16::from_le_bytes(b)), each),
            Self::F32 => values(bytes, order, |b| f64::from(f32::from_le_bytes(b)), each),
            Self::F64 => values(bytes, order, f64::from_le_bytes, each),
        }
    }
}

fn values<const N: usize>(bytes: &[u8], order: ByteOrder, little: impl Fn([u8; N]) -> f64, mut each: impl FnMut(f64)) {
    let (words, _) = bytes.as_chunks::<N>();
    match order {
        ByteOrder::Little => words.iter().for_each(|&word| each(little(word))),
        ByteOrder::Big => words.iter().for_each(|&word| {
            let mut word = word;
            word.reverse();
            each(little(word));
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(dtype: Dtype, order: ByteOrder, bytes: &[u8]) -> Vec<f64> {
        let mut out = Vec::new();
        dtype.decode(order, bytes, |v| out.push(v));
        out
    }

    #[test]
    fn both_byte_orders_of_every_type() {
        let cases: [(Dtype, &[u8], f64); 12] = [
            (Dtype::Bool, &[2], 1.0),
            (Dtype::U8, &[200], 200.0),
            (Dtype::I8, &[200], -56.0),
            (Dtype::I16, &(-300_i16).to_le_bytes(), -300.0),
            (Dtype::U16, &65_000_u16.to_le_bytes(), 65_000.0),
            (Dtype::I32, &(-70_000_i32).to_le_bytes(), -70_000.0),
            (Dtype::U32, &4_000_000_000_u32.to_le_bytes(), 4e9),
            (Dtype::I64, &(-(1_i64 << 53)).to_le_bytes(), -(2f64.powi(53))),
            (Dtype::U64, &(1_u64 << 63).to_le_bytes(), 2f64.powi(63)),
            (Dtype::F16, &0x3e00_u16.to_le_bytes(), 1.5),
            (Dtype::F32, &0.1_f32.to_le_bytes(), 0.1_f32 as f64),
            (Dtype::F64, &0.1_f64.to_le_bytes(), 0.1),
        ];
        for (dtype, little, want) in cases {
            assert_eq!(little.len(), dtype.size());
            let big: Vec<u8> = little.iter().rev().copied().collect();
            let twice = [little, little].concat();
            assert_eq!(decoded(dtype, ByteOrder::Little, &twice), [want, want], "{dtype:?}");
            assert_eq!(decoded(dtype, ByteOrder::Big, &big), [want], "{dtype:?}");
        }
    }
}
