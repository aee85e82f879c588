//! Tensors: from the many ways in which a file may hold elements to a few types, and back.

use half::{bf16, f16};

use super::UNNAMED;
use super::external::external;
use super::proto::TensorProto;
use crate::error::{FormatError, Position, Result, shorten};

/// Element types of ONNX that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "ONNX's own names")]
pub enum ElementType {
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Bfloat16 = 16,
}

impl ElementType {
    /// All types that are read.
    pub const ALL: &'static [Self] = &[
        Self::Float,
        Self::Uint8,
        Self::Int8,
        Self::Uint16,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::String,
        Self::Bool,
        Self::Float16,
        Self::Double,
        Self::Uint32,
        Self::Uint64,
        Self::Bfloat16,
    ];

    /// The code in a file.
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Size of an element in bytes; texts have none.
    pub(super) fn size_bytes(self) -> Option<usize> {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => Some(1),
            Self::Uint16 | Self::Int16 | Self::Float16 | Self::Bfloat16 => Some(2),
            Self::Float | Self::Int32 | Self::Uint32 => Some(4),
            Self::Double | Self::Int64 | Self::Uint64 => Some(8),
            Self::String => None,
        }
    }

    /// The type for a code of a file; `None` for types that are not read (complex numbers, 8-bit floats, 4-bit integers).
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.code() == code)
    }
}

/// A tensor in memory, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxTensor {
    /// Name.
    pub name: String,
    /// Dimensions; none for a single value.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: OnnxData,
}

/// Elements, in the few types that the rest of the program needs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OnnxData {
    /// float, float16 and bfloat16.
    F32(Vec<f32>),
    /// double.
    F64(Vec<f64>),
    /// int16, uint16, int32, uint32, int64, and uint64 within the range of i64.
    I64(Vec<i64>),
    /// int8.
    I8(Vec<i8>),
    /// uint8.
    U8(Vec<u8>),
    /// bool.
    Bool(Vec<bool>),
    /// string.
    Text(Vec<String>),
}

impl OnnxTensor {
    /// The elements as f32; doubles are rounded.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when they are not floating-point numbers.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        match &self.data {
            OnnxData::F32(v) => Ok(v.clone()),
            OnnxData::F64(v) => Ok(v.iter().map(|&x| x as f32).collect()),
            other => Err(wrong(UNNAMED, &self.name, "floating-point numbers", other.kind())),
        }
    }

    /// The elements as i64.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when they are not integers.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        match &self.data {
            OnnxData::I64(v) => Ok(v.clone()),
            OnnxData::I8(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            OnnxData::U8(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            OnnxData::Bool(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            other => Err(wrong(UNNAMED, &self.name, "integers", other.kind())),
        }
    }
}

impl OnnxData {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) | Self::F64(_) => "floating-point numbers",
            Self::I64(_) | Self::I8(_) | Self::U8(_) => "integers",
            Self::Bool(_) => "truth values",
            Self::Text(_) => "texts",
        }
    }
}

fn wrong(file: &str, tensor: &str, want: impl Into<String>, got: &str) -> FormatError {
    FormatError::malformed(file, Position::Part(format!("tensor \"{}\"", shorten(tensor))), want, got)
}

/// Elements from their little-endian bytes.
fn from_raw<const N: usize, T>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
}

impl TensorProto {
    /// The values.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] for an element type that is not in [`ElementType`], [`FormatError::Malformed`] for elements that are out of
    /// range or not as many as the dimensions say, [`FormatError::ExternalData`].
    pub fn to_tensor(&self) -> Result<OnnxTensor> {
        self.check(UNNAMED)?;
        let Some(element_type) = ElementType::from_code(self.data_type) else {
            return Err(FormatError::Unsupported {
                file: UNNAMED.into(),
                what: format!("tensor \"{}\" of element type {}", shorten(&self.name), self.data_type),
                instead: "convert it to float, double or an integer type".into(),
            });
        };
        let shape = self.shape(UNNAMED)?;
        let data = if self.raw_data.is_empty() { self.typed(element_type)? } else { self.raw(element_type)? };
        Ok(OnnxTensor { name: self.name.clone(), shape, data })
    }

    /// Refuses data in other files and a number of elements that is not what the dimensions say.
    /// Element types that are not read are left to [`TensorProto::to_tensor`], in case nobody asks for them.
    pub(super) fn check(&self, file: &str) -> Result<()> {
        self.check_inside(file)?;
        let shape = self.shape(file)?;
        let Some(want) = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)) else {
            return Err(wrong(file, &self.name, "dimensions that can be multiplied", &format!("{shape:?}")));
        };
        let got = ElementType::from_code(self.data_type).map(|element_type| self.stored(element_type));
        match got {
            None => Ok(()),
            Some(Some(got)) if got == want => Ok(()),
            Some(got) => {
                let got = got.map_or_else(|| format!("{} bytes", self.raw_data.len()), |n| n.to_string());
                Err(wrong(file, &self.name, format!("{want} elements, as the dimensions {shape:?} say"), &got))
            }
        }
    }

    /// Whether the elements are in another file.
    pub(super) fn is_external(&self) -> bool {
        self.data_location != 0 || !self.external_data.is_empty()
    }

    fn check_inside(&self, file: &str) -> Result<()> {
        if !self.is_external() {
            return Ok(());
        }
        let location = self.external_data.iter().find(|e| e.key == "location").map_or("", |e| e.value.as_str());
        let problem =
            "a model without a folder has only what is inside; read it from its file, or save it in one piece";
        Err(external(file, self, location, problem))
    }

    fn shape(&self, file: &str) -> Result<Vec<usize>> {
        let dim =
            |&d| usize::try_from(d).map_err(|_| wrong(file, &self.name, "dimensions of 0 or more", &format!("{d}")));
        self.dims.iter().map(dim).collect()
    }

    /// How many elements are stored; `None` when the raw bytes are not a whole number of them.
    fn stored(&self, element_type: ElementType) -> Option<usize> {
        if self.raw_data.is_empty() {
            return Some(match element_type {
                ElementType::Float => self.float_data.len(),
                ElementType::Double => self.double_data.len(),
                ElementType::Int64 => self.int64_data.len(),
                ElementType::Uint32 | ElementType::Uint64 => self.uint64_data.len(),
                ElementType::String => self.string_data.len(),
                _ => self.int32_data.len(),
            });
        }
        let size = element_type.size_bytes()?;
        self.raw_data.len().is_multiple_of(size).then_some(self.raw_data.len() / size)
    }

    /// Elements from the raw bytes.
    fn raw(&self, element_type: ElementType) -> Result<OnnxData> {
        let raw = &self.raw_data;
        Ok(match element_type {
            ElementType::Float => OnnxData::F32(from_raw(raw, f32::from_le_bytes)),
            ElementType::Float16 => OnnxData::F32(from_raw(raw, |b| f16::from_le_bytes(b).to_f32())),
            ElementType::Bfloat16 => OnnxData::F32(from_raw(raw, |b| bf16::from_le_bytes(b).to_f32())),
            ElementType::Double => OnnxData::F64(from_raw(raw, f64::from_le_bytes)),
            ElementType::Int16 => OnnxData::I64(from_raw(raw, |b| i16::from_le_bytes(b).into())),
            ElementType::Uint16 => OnnxData::I64(from_raw(raw, |b| u16::from_le_bytes(b).into())),
            ElementType::Int32 => OnnxData::I64(from_raw(raw, |b| i32::from_le_bytes(b).into())),
            ElementType::Uint32 => OnnxData::I64(from_raw(raw, |b| u32::from_le_bytes(b).into())),
            ElementType::Int64 => OnnxData::I64(from_raw(raw, i64::from_le_bytes)),
            ElementType::Uint64 => OnnxData::I64(self.signed(from_raw(raw, u64::from_le_bytes))?),
            ElementType::Int8 => OnnxData::I8(from_raw(raw, i8::from_le_bytes)),
            ElementType::Uint8 => OnnxData::U8(raw.clone()),
            ElementType::Bool => OnnxData::Bool(raw.iter().map(|&b| b != 0).collect()),
            ElementType::String => return Err(wrong(UNNAMED, &self.name, "texts as string_data", "raw bytes")),
        })
    }

    /// Elements from the field for their type.
    fn typed(&self, element_type: ElementType) -> Result<OnnxData> {
        Ok(match element_type {
            ElementType::Float => OnnxData::F32(self.float_data.clone()),
            ElementType::Float16 => OnnxData::F32(self.narrow(|bits: u16| f16::from_bits(bits).to_f32())?),
            ElementType::Bfloat16 => OnnxData::F32(self.narrow(|bits: u16| bf16::from_bits(bits).to_f32())?),
            ElementType::Double => OnnxData::F64(self.double_data.clone()),
            ElementType::Int16 => OnnxData::I64(self.narrow(|x: i16| x.into())?),
            ElementType::Uint16 => OnnxData::I64(self.narrow(|x: u16| x.into())?),
            ElementType::Int32 => OnnxData::I64(self.int32_data.iter().map(|&x| x.into()).collect()),
            ElementType::Int64 => OnnxData::I64(self.int64_data.clone()),
            ElementType::Uint32 | ElementType::Uint64 => OnnxData::I64(self.signed(self.uint64_data.clone())?),
            ElementType::Int8 => OnnxData::I8(self.narrow(|x: i8| x)?),
            ElementType::Uint8 => OnnxData::U8(self.narrow(|x: u8| x)?),
            ElementType::Bool => OnnxData::Bool(self.int32_data.iter().map(|&x| x != 0).collect()),
            ElementType::String => OnnxData::Text(self.texts()?),
        })
    }

    /// Elements of a narrow type, which the file holds as 32-bit integers.
    fn narrow<T: TryFrom<i32>, U>(&self, value: impl Fn(T) -> U) -> Result<Vec<U>> {
        let narrow = |&x: &i32| {
            T::try_from(x)
                .map(&value)
                .map_err(|_| wrong(UNNAMED, &self.name, "elements within the range of their type", &format!("{x}")))
        };
        self.int32_data.iter().map(narrow).collect()
    }

    fn signed(&self, values: Vec<u64>) -> Result<Vec<i64>> {
        let signed =
            |x| i64::try_from(x).map_err(|_| wrong(UNNAMED, &self.name, "elements below 2^63", &format!("{x}")));
        values.into_iter().map(signed).collect()
    }

    fn texts(&self) -> Result<Vec<String>> {
        let text = |bytes: &Vec<u8>| {
            String::from_utf8(bytes.clone()).map_err(|e| wrong(UNNAMED, &self.name, "texts in UTF-8", &e.to_string()))
        };
        self.string_data.iter().map(text).collect()
    }

    /// A tensor of floats. `values` must be as many as `shape` says, which [`super::ModelProto::check`] finds out.
    #[must_use]
    pub fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        Self::with_raw(name, ElementType::Float, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// A tensor of 64-bit integers, like [`TensorProto::f32`].
    #[must_use]
    pub fn i64(name: &str, shape: &[usize], values: &[i64]) -> Self {
        Self::with_raw(name, ElementType::Int64, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// A tensor of 8-bit integers, like [`TensorProto::f32`].
    #[must_use]
    pub fn i8(name: &str, shape: &[usize], values: &[i8]) -> Self {
        Self::with_raw(name, ElementType::Int8, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// A tensor of any type but string, from little-endian bytes.
    #[must_use]
    pub fn with_raw(name: &str, element_type: ElementType, shape: &[usize], raw_data: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            data_type: element_type.code(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            raw_data,
            ..Self::default()
        }
    }
}
