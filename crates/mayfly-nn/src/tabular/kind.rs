//! What kind of model a file is.
use crate::error::{NnError, Result};
use mayfly_format::fann_net::FannFile;
use mayfly_format::model_file::MAX_HEADER_BYTES;
use mayfly_format::{FormatError, impostor};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much of a file is looked at.
const HEAD_BYTES: u64 = 1 << 10;

/// The kinds of model files that are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelKind {
    /// Mayfly's own, which is safetensors.
    Native,
    /// FANN's `.net`.
    Fann,
    /// ONNX.
    Onnx,
}

/// Files that others keep models in: how they begin, what they are, and what to do.
const FOREIGN: [(usize, &[u8], &str, &str); 11] = [
    (
        0,
        b"PK\x03\x04",
        "a zip archive, in which PyTorch and Keras keep models",
        "export the model as ONNX (torch.onnx.export, tf2onnx)",
    ),
    (0, b"\x80\x02", PICKLE, SKLEARN),
    (0, b"\x80\x03", PICKLE, SKLEARN),
    (0, b"\x80\x04", PICKLE, SKLEARN),
    (0, b"\x80\x05", PICKLE, SKLEARN),
    (0, b"\x89HDF\r\n", "an HDF5 file, in which Keras keeps models", "export the model as ONNX (tf2onnx)"),
    (4, b"TFL3", "a TensorFlow Lite model", "export the model as ONNX (tf2onnx)"),
    (0, b"GGUF", "a GGUF language model", "there is no place for one here"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it first (gunzip)"),
    (0, b"\x93NUMPY", "a NumPy array and no model", "give the file of the model"),
    (0, b"digraph", "a drawing", "it can be written, not read; give the file of the model"),
];
const PICKLE: &str = "a Python pickle, which may run any program when it is loaded, and is not";
const SKLEARN: &str = "export the model as ONNX (skl2onnx, torch.onnx.export)";

impl ModelKind {
    /// The kind that a name's extension promises: `.mayfly`, `.safetensors`, `.net` or `.onnx`.
    pub fn of_name(path: &Path) -> Option<ModelKind> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "mayfly" | "safetensors" => Some(ModelKind::Native),
            "net" => Some(ModelKind::Fann),
            "onnx" => Some(ModelKind::Onnx),
            _ => None,
        }
    }

    /// The kind of a file that begins like this.
    ///
    /// ```
    /// use mayfly_nn::tabular::ModelKind;
    /// assert_eq!(ModelKind::of_content(b"FANN_FLO_2.1\nnum_layers=3\n"), Some(ModelKind::Fann));
    /// assert_eq!(ModelKind::of_content(b"a,b\n1,2\n"), None);
    /// ```
    pub fn of_content(head: &[u8]) -> Option<ModelKind> {
        if FannFile::is_one(head) {
            return Some(ModelKind::Fann);
        }
        match head {
            // The length of a JSON header, and its first character.
            [a, b, c, d, e, f, g, h, b'{', ..] if is_header(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h])) => {
                Some(ModelKind::Native)
            }
            // In protobuf: field 1, the version of the format.
            [0x08, 1..=0x3f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => Some(ModelKind::Onnx),
            _ => None,
        }
    }

    /// The kind of a file: as its content says or, where that says nothing, its name.
    ///
    /// # Errors
    /// A file that cannot be read, or is of another kind: its content is named where it is known.
    pub fn of_file(path: &Path) -> Result<ModelKind> {
        let name = path.display().to_string();
        let io = |source| FormatError::Io { path: path.to_owned(), source };
        let mut head = Vec::new();
        File::open(path).map_err(io)?.take(HEAD_BYTES).read_to_end(&mut head).map_err(io)?;
        impostor::refuse(&name, &head)?;
        if let Some(kind) = Self::of_content(&head) {
            return Ok(kind);
        }
        let begins = |at: usize, with: &[u8]| head.get(at..).is_some_and(|head| head.starts_with(with));
        if let Some((.., what, instead)) = FOREIGN.iter().find(|(at, with, ..)| begins(*at, with)) {
            return Err(NnError::BadModel { file: name, what: format!("this is {what}; {instead}") });
        }
        Self::of_name(path).ok_or_else(|| NnError::BadModel {
            file: name,
            what: "neither content nor extension is that of a model; there are Mayfly's (.mayfly, .safetensors), FANN's (.net) and ONNX (.onnx)".to_owned(),
        })
    }
}

fn is_header(length: u64) -> bool {
    (2..=MAX_HEADER_BYTES).contains(&length)
}
