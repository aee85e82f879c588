//! Reading and writing whole models.

use std::path::Path;

use prost::Message as _;

use super::proto::{GraphProto, ModelProto};
use super::scan::scan;
use super::{MAX_FILE_BYTES, UNNAMED};
use crate::atomic;
use crate::error::{FormatError, Position, Result};
use crate::whole_file::{file_name, read_whole};

impl ModelProto {
    /// Reads an `.onnx` file of at most [`MAX_FILE_BYTES`], and the weights that lie in files beside it.
    ///
    /// # Errors
    /// I/O errors, and what [`ModelProto::parse`] and [`ModelProto::take_in`] refuse.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_whole(path, MAX_FILE_BYTES)?;
        let file = file_name(path);
        let mut model = Self::decoded(&file, &bytes)?;
        drop(bytes);
        model.take_in(&file, path.parent().unwrap_or(Path::new("")))?;
        model.check_in(&file)?;
        Ok(model)
    }

    /// Reads the bytes of a model and checks it, see [`ModelProto::check`]; `file` is its name for messages.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] with the byte or the part of the model, [`FormatError::TooLarge`] for nesting and counts beyond reason,
    /// [`FormatError::Unsupported`] for functions and sparse weights, [`FormatError::ExternalData`] for weights in other files, which only [`ModelProto::read`] can find.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let model = Self::decoded(file, bytes)?;
        model.check_in(file)?;
        Ok(model)
    }

    /// Reads the messages of an `.onnx` file and nothing of its weights in other files. The model is not checked: it can be looked at, not run.
    ///
    /// # Errors
    /// I/O errors, and a file that is no model in protobuf.
    pub fn peek(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::decoded(&file_name(path), &read_whole(path, MAX_FILE_BYTES)?)
    }

    fn decoded(file: &str, bytes: &[u8]) -> Result<Self> {
        scan(file, bytes)?;
        Self::decode(bytes)
            .map_err(|e| FormatError::malformed(file, Position::File, "an ONNX model in protobuf", &e.to_string()))
    }

    /// The graph.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when there is none, which [`ModelProto::parse`] refuses already.
    pub fn graph(&self) -> Result<&GraphProto> {
        self.graph_in(UNNAMED)
    }

    pub(super) fn graph_in(&self, file: &str) -> Result<&GraphProto> {
        self.graph
            .as_ref()
            .ok_or_else(|| FormatError::malformed(file, Position::File, "a graph", "a model without one"))
    }

    /// The version of the standard operators that the model is written for.
    #[must_use]
    pub fn opset_version(&self) -> Option<i64> {
        self.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx").map(|o| o.version)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Writes an `.onnx` file, replacing an existing one atomically, see [`crate::atomic`].
    ///
    /// # Errors
    /// I/O errors, what [`ModelProto::check`] refuses, and [`FormatError::TooLarge`] beyond [`MAX_FILE_BYTES`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.check_in(&file_name(path))?;
        let size = self.encoded_len() as u64;
        if size > MAX_FILE_BYTES {
            let what = "size in bytes".to_owned();
            return Err(FormatError::TooLarge { file: file_name(path), what, got: size, limit: MAX_FILE_BYTES });
        }
        let bytes = self.to_bytes();
        atomic::write(path, |out| out.write_all(&bytes))
    }
}
