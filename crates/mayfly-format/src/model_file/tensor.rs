//! Tensors as a file holds them.

use super::{MAX_RANK, NanPolicy};
use crate::error::{FormatError, Position, Result, shorten};

/// A named array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name, unique in its file.
    pub name: String,
    /// Dimensions, at most [`MAX_RANK`]; none for a single number.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: TensorData,
}

/// A complex number of two 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Complex32 {
    /// The real part.
    pub re: f32,
    /// The imaginary part.
    pub im: f32,
}

impl Complex32 {
    fn from_le_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self { re: f32::from_le_bytes([a, b, c, d]), im: f32::from_le_bytes([e, f, g, h]) }
    }

    fn to_le_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.re.to_le_bytes(), self.im.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

/// Declares the element types once: variant, Rust type, safetensors name, and from there everything that depends on the type.
macro_rules! element_types {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $name:literal,)+) => {
        /// The elements of a tensor.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum TensorData { $($(#[$doc])* $variant(Vec<$type>),)+ }

        /// The element types that a file may hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Dtype { $($(#[$doc])* $variant,)+ }

        impl Dtype {
            /// All element types.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in a safetensors header.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Size of an element in bytes.
            #[must_use]
            pub fn size_bytes(self) -> usize {
                match self { $(Self::$variant => size_of::<$type>(),)+ }
            }

            pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
                match dtype {
                    $(safetensors::Dtype::$variant => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl TensorData {
            /// The element type.
            #[must_use]
            pub fn dtype(&self) -> Dtype {
                match self { $(Self::$variant(_) => Dtype::$variant,)+ }
            }

            /// Number of elements.
            #[must_use]
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(v) => v.len(),)+ }
            }

            /// Elements from their little-endian bytes; bytes after the last whole element are ignored.
            pub(super) fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Self {
                match dtype {
                    $(Dtype::$variant => Self::$variant(bytes.as_chunks().0.iter().map(|&b| <$type>::from_le_bytes(b)).collect()),)+
                }
            }

            /// Hands the little-endian bytes of the elements to `sink`, piece by piece.
            pub(super) fn le_bytes<E>(&self, sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>) -> std::result::Result<(), E> {
                match self { $(Self::$variant(v) => pieces(v, |x| x.to_le_bytes(), sink),)+ }
            }
        }
    };
}

element_types! {
    /// 64-bit floats.
    F64(f64) = "F64",
    /// 32-bit floats.
    F32(f32) = "F32",
    /// Complex numbers of two 32-bit floats, as PyTorch keeps spectra.
    C64(Complex32) = "C64",
    /// 64-bit integers.
    I64(i64) = "I64",
    /// 32-bit integers.
    I32(i32) = "I32",
    /// bfloat16, as bits: the upper half of an f32.
    BF16(u16) = "BF16",
    /// 8-bit integers.
    I8(i8) = "I8",
    /// 8-bit unsigned integers.
    U8(u8) = "U8",
}

/// Hashes run several chunks side by side, if they get enough at a time.
const PIECE_ELEMENTS: usize = 16 * 1024;

fn pieces<T: Copy, const N: usize, E>(
    elements: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
    sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut buffer = Vec::with_capacity(PIECE_ELEMENTS * N);
    for piece in elements.chunks(PIECE_ELEMENTS) {
        buffer.clear();
        buffer.extend(piece.iter().flat_map(|&x| bytes_of(x)));
        sink(&buffer)?;
    }
    Ok(())
}

impl TensorData {
    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn byte_len(&self) -> u64 {
        (self.len() as u64).saturating_mul(self.dtype().size_bytes() as u64)
    }

    /// Index of the first NaN; integers have none.
    #[must_use]
    pub fn first_nan(&self) -> Option<usize> {
        match self {
            Self::F64(v) => v.iter().position(|x| x.is_nan()),
            Self::F32(v) => v.iter().position(|x| x.is_nan()),
            Self::C64(v) => v.iter().position(|x| x.re.is_nan() || x.im.is_nan()),
            Self::BF16(v) => v.iter().position(|&bits| half::bf16::from_bits(bits).is_nan()),
            Self::I64(_) | Self::I32(_) | Self::I8(_) | Self::U8(_) => None,
        }
    }
}

impl Tensor {
    /// Number of elements that the shape asks for; `None` when it overflows.
    #[must_use]
    pub fn shape_len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim))
    }

    /// Rank, length, and NaN if the policy asks for it.
    pub(super) fn check(&self, file: &str, nan: NanPolicy) -> Result<()> {
        if self.shape.len() > MAX_RANK {
            return Err(wrong(
                file,
                &self.name,
                format!("at most {MAX_RANK} dimensions"),
                &self.shape.len().to_string(),
            ));
        }
        if self.shape_len() != Some(self.data.len()) {
            return Err(wrong(
                file,
                &self.name,
                format!("as many elements as the shape {:?} says", self.shape),
                &self.data.len().to_string(),
            ));
        }
        self.check_nan(file, nan)
    }

    pub(super) fn check_nan(&self, file: &str, nan: NanPolicy) -> Result<()> {
        match (nan, self.data.first_nan()) {
            (NanPolicy::Refuse, Some(index)) => {
                Err(FormatError::NanWeight { file: file.to_owned(), tensor: self.name.clone(), index })
            }
            _ => Ok(()),
        }
    }
}

/// An error about one tensor.
pub(super) fn wrong(file: &str, tensor: &str, want: impl Into<String>, got: &str) -> FormatError {
    FormatError::malformed(file, Position::Part(format!("tensor \"{}\"", shorten(tensor))), want, got)
}
