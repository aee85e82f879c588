//! Model files: safetensors, plain ([`TensorFile`]) and with a network's description in the metadata ([`ModelFile`], the native format).
//!
//! Layout, hash and limits are in `docs/formats/model.md`. Any safetensors reader opens what is written here.
//!
//! ```
//! use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData};
//!
//! # fn main() -> Result<(), mayfly_format::FormatError> {
//! let model = ModelFile {
//!     spec: r#"{"layers":[]}"#.into(),
//!     tensors: vec![Tensor { name: "layers.0.weight".into(), shape: vec![1, 2], data: TensorData::F32(vec![0.5, -1.0]) }],
//!     ..ModelFile::default()
//! };
//! let bytes = model.to_bytes(NanPolicy::Refuse)?;
//! assert_eq!(ModelFile::parse("small.mayfly", &bytes, &ReadOptions::default())?, model);
//! # Ok(())
//! # }
//! ```

mod hash;
mod header;
mod model;
mod tensor;
mod tensor_file;

pub use model::{FORMAT, ModelFile};
pub use tensor::{Complex32, Dtype, Tensor, TensorData};
pub use tensor_file::TensorFile;

/// The longest header that is read or written, in bytes.
pub const MAX_HEADER_BYTES: u64 = 16 << 20;
/// The most tensors in a file.
pub const MAX_TENSORS: usize = 65_536;
/// The most dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// What to do about NaN in a tensor of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NanPolicy {
    /// An error that names the tensor and the element. A network with NaN in its weights computes NaN.
    #[default]
    Refuse,
    /// Taken as it is.
    Allow,
}

/// How a model file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// What to do about NaN.
    pub nan: NanPolicy,
    /// The largest file that is opened.
    pub max_file_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { nan: NanPolicy::Refuse, max_file_bytes: 4 << 30 }
    }
}
