//! The native model format: a safetensors file that says what its tensors mean.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::IgnoredAny;

use super::tensor_file::Layout;
use super::{NanPolicy, ReadOptions, Tensor, TensorFile, hash};
use crate::atomic;
use crate::error::{FormatError, Position, Result, shorten};
use crate::whole_file::{file_name, read_whole};

/// The value of the metadata key `format`.
pub const FORMAT: &str = "mayfly/1";

const FORMAT_KEY: &str = "format";
const SPEC: &str = "spec";
const ENCODER: &str = "encoder";
const METRICS: &str = "metrics";
const TRAINING: &str = "training";

/// A network as a file holds it: its description as JSON, and its tensors. What the JSON says is up to the crates that know networks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelFile {
    /// The network, JSON.
    pub spec: String,
    /// How raw data becomes inputs and outputs become answers (scalers, categories, label names), JSON.
    pub encoder: Option<String>,
    /// Figures measured on test data, JSON.
    pub metrics: Option<String>,
    /// How it was trained, JSON.
    pub training: Option<String>,
    /// Other metadata, any text.
    pub other: BTreeMap<String, String>,
    /// All tensors, dimensions in PyTorch's order. Reading gives them in the order of the file.
    pub tensors: Vec<Tensor>,
}

impl ModelFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// I/O errors, and what [`ModelFile::parse`] refuses.
    pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_whole(path, options.max_file_bytes)?;
        Self::parse(&file_name(path), &bytes, options)
    }

    /// Reads the bytes of a model file and verifies its hash; `file` is its name for messages.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for another kind of safetensors file, a missing key, malformed JSON or a damaged header; [`FormatError::Unsupported`]
    /// for a later version; [`FormatError::HashMismatch`] when the content is not what was written; and what [`TensorFile::parse`] refuses.
    pub fn parse(file: &str, bytes: &[u8], options: &ReadOptions) -> Result<Self> {
        let content = TensorFile::parse_with_nan(file, bytes)?;
        check_format(file, &content.metadata)?;
        check_hash(file, &content)?;
        content.check_nan(file, options.nan)?;
        let TensorFile { mut metadata, tensors } = content;
        metadata.remove(FORMAT_KEY);
        metadata.remove(hash::KEY);
        let spec = metadata.remove(SPEC).ok_or_else(|| bad_key(file, SPEC, "the network as JSON", "nothing"))?;
        let encoder = metadata.remove(ENCODER);
        let metrics = metadata.remove(METRICS);
        let training = metadata.remove(TRAINING);
        let model = Self { spec, encoder, metrics, training, other: metadata, tensors };
        model.check_json(file)?;
        Ok(model)
    }

    /// The bytes of the file: the same model is the same bytes.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for malformed JSON or a key in [`ModelFile::other`] that has a meaning of its own,
    /// and what [`TensorFile::to_bytes`] refuses.
    pub fn to_bytes(&self, nan: NanPolicy) -> Result<Vec<u8>> {
        let file = "model";
        Ok(Layout::new(file, &self.metadata(file)?, &self.tensors, nan)?.to_bytes())
    }

    /// Writes the file, replacing an existing one atomically, see [`crate::atomic`].
    ///
    /// # Errors
    /// I/O errors and what [`ModelFile::to_bytes`] refuses.
    pub fn write(&self, path: impl AsRef<Path>, nan: NanPolicy) -> Result<()> {
        let path = path.as_ref();
        let file = file_name(path);
        let layout = Layout::new(&file, &self.metadata(&file)?, &self.tensors, nan)?;
        atomic::write(path, |out| layout.write(out))
    }

    fn sections(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let optional = [(ENCODER, &self.encoder), (METRICS, &self.metrics), (TRAINING, &self.training)];
        [(SPEC, &self.spec)]
            .into_iter()
            .chain(optional.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))))
    }

    fn check_json(&self, file: &str) -> Result<()> {
        for (key, text) in self.sections() {
            serde_json::from_str::<IgnoredAny>(text).map_err(|e| bad_key(file, key, "JSON", &e.to_string()))?;
        }
        Ok(())
    }

    /// The metadata of the file, hash included.
    fn metadata(&self, file: &str) -> Result<BTreeMap<String, String>> {
        self.check_json(file)?;
        let reserved = [FORMAT_KEY, hash::KEY, SPEC, ENCODER, METRICS, TRAINING];
        if let Some(key) = self.other.keys().find(|k| reserved.contains(&k.as_str())) {
            return Err(bad_key(
                file,
                key,
                "a key without a meaning of its own",
                "a reserved one among the other metadata",
            ));
        }
        let mut metadata = self.other.clone();
        metadata.extend(self.sections().map(|(key, text)| (key.to_owned(), text.clone())));
        metadata.insert(FORMAT_KEY.into(), FORMAT.into());
        metadata.insert(hash::KEY.into(), hash::content(FORMAT, &metadata, &self.tensors));
        Ok(metadata)
    }
}

fn bad_key(file: &str, key: &str, want: &str, got: &str) -> FormatError {
    FormatError::malformed(file, Position::Part(format!("metadata \"{key}\"")), want, got)
}

fn check_format(file: &str, metadata: &BTreeMap<String, String>) -> Result<()> {
    match metadata.get(FORMAT_KEY).map(String::as_str) {
        Some(FORMAT) => Ok(()),
        Some(later) if later.starts_with("mayfly/") => Err(FormatError::Unsupported {
            file: file.to_owned(),
            what: format!("the model format \"{}\"", shorten(later)),
            instead: format!("this program reads \"{FORMAT}\"; use the version that wrote the file"),
        }),
        other => {
            Err(bad_key(file, FORMAT_KEY, "\"mayfly/1\", which every Mayfly model has", other.unwrap_or("nothing")))
        }
    }
}

fn check_hash(file: &str, content: &TensorFile) -> Result<()> {
    let stored = content
        .metadata
        .get(hash::KEY)
        .ok_or_else(|| bad_key(file, hash::KEY, "the hash of the content", "nothing"))?;
    let computed = hash::content(FORMAT, &content.metadata, &content.tensors);
    if *stored == computed {
        return Ok(());
    }
    Err(FormatError::HashMismatch { file: file.to_owned(), stored: shown(stored), computed })
}

/// A hash whole; anything else in its place shortened.
fn shown(hash: &str) -> String {
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash { hash.to_owned() } else { shorten(hash) }
}
