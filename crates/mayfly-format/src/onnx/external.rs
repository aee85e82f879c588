//! Weights that lie in files of their own beside the model: what PyTorch writes by default, and protobuf demands beyond 2 GiB.
//!
//! The paths come from the model, so they are held to its folder: relative, downwards, and not out of it by a symbolic link.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::proto::{GraphProto, ModelProto, TensorProto};
use super::tensor::ElementType;
use crate::error::{FormatError, Result, shorten};
use crate::impostor;

/// The largest size of all files of weights together, in bytes.
pub const MAX_EXTERNAL_BYTES: u64 = 16 << 30;
/// How often the same bytes may be read for different tensors, on average: shared weights are written once.
const MAX_SHARED: u64 = 4;
/// How much of a file is looked at, to tell weights from what was saved in their place.
const HEAD_BYTES: u64 = 1 << 10;

impl ModelProto {
    /// Takes the elements that lie in other files below `folder` into the model; `file` is its name for messages.
    ///
    /// # Errors
    /// [`FormatError::ExternalData`] for a location outside of the folder, a file that cannot be read, or a part that it does not have or that
    /// does not fit the tensor; [`FormatError::TooLarge`] beyond [`MAX_EXTERNAL_BYTES`].
    pub fn take_in(&mut self, file: &str, folder: &Path) -> Result<()> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match &mut self.graph {
            Some(graph) => Loader { file, folder, open: BTreeMap::new(), there: 0, taken: 0 }.graph(graph),
            None => Ok(()),
        }
    }
}

struct Loader<'a> {
    file: &'a str,
    folder: &'a Path,
    /// Files opened so far, by location, with their sizes.
    open: BTreeMap<String, (File, u64)>,
    /// Bytes in these files, and taken from them.
    there: u64,
    taken: u64,
}

/// Which part of which file.
struct Part {
    location: String,
    offset: u64,
    length: Option<u64>,
}

impl Loader<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        graph.initializer.iter_mut().try_for_each(|tensor| self.tensor(tensor))?;
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            attribute.t.as_mut().map_or(Ok(()), |tensor| self.tensor(tensor))?;
            attribute.g.as_mut().map_or(Ok(()), |graph| self.graph(graph))?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<()> {
        if !tensor.is_external() {
            return Ok(());
        }
        let part = Part::of(self.file, tensor)?;
        let bytes = self.bytes(tensor, &part)?;
        tensor.raw_data = bytes;
        tensor.external_data.clear();
        tensor.data_location = 0;
        Ok(())
    }

    fn bytes(&mut self, tensor: &TensorProto, part: &Part) -> Result<Vec<u8>> {
        let refuse = |problem: String| external(self.file, tensor, &part.location, problem);
        let want = size_bytes(tensor).ok_or_else(|| refuse("its element type or dimensions have no size".into()))?;
        if let Some(length) = part.length.filter(|&length| length != want) {
            return Err(refuse(format!("it has {length} bytes there, its dimensions {:?} need {want}", tensor.dims)));
        }
        if !self.open.contains_key(&part.location) {
            let (file, size) = open(self.folder, &part.location).map_err(refuse)?;
            self.there = self.there.saturating_add(size);
            self.open.insert(part.location.clone(), (file, size));
        }
        self.taken = self.taken.saturating_add(want);
        if self.taken > MAX_EXTERNAL_BYTES || self.taken > self.there.saturating_mul(MAX_SHARED) {
            return Err(FormatError::TooLarge {
                file: self.file.to_owned(),
                what: "number of bytes that tensors take from other files".into(),
                got: self.taken,
                limit: self.there.saturating_mul(MAX_SHARED).min(MAX_EXTERNAL_BYTES),
            });
        }
        let Some((file, size)) = self.open.get_mut(&part.location) else { return Ok(Vec::new()) };
        if part.offset.checked_add(want).is_none_or(|end| end > *size) {
            let there = format!("it needs {want} bytes from byte {}, the file has {size}", part.offset);
            return Err(external(self.file, tensor, &part.location, there));
        }
        read_part(file, part.offset, want)
            .map_err(|e| external(self.file, tensor, &part.location, format!("it cannot be read: {e}")))
    }
}

/// The bytes were found to be there, so they are not more than the file holds.
fn read_part(file: &mut File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

impl Part {
    fn of(file: &str, tensor: &TensorProto) -> Result<Part> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location = entry("location").unwrap_or_default().to_owned();
        let number = |key: &str| match entry(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => {
                let found = shorten(entry(key).unwrap_or_default());
                Err(external(file, tensor, &location, format!("its {key} is {found:?}, which is no number of bytes")))
            }
        };
        Ok(Part { offset: number("offset")?.unwrap_or(0), length: number("length")?, location })
    }
}

/// The bytes that the dimensions ask for.
fn size_bytes(tensor: &TensorProto) -> Option<u64> {
    let element = ElementType::from_code(tensor.data_type)?.size_bytes()? as u64;
    tensor.dims.iter().try_fold(element, |n, &d| n.checked_mul(u64::try_from(d).ok()?))
}

/// Opens a file of weights and says how large it is, or why not.
fn open(folder: &Path, location: &str) -> std::result::Result<(File, u64), String> {
    let relative = Path::new(location);
    let is_below = !location.is_empty()
        && !location.contains(['\\', '\0'])
        && relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !is_below {
        return Err("only files in the model's folder and below it are read; export the model again".into());
    }
    let real = |path: &Path| path.canonicalize();
    let path: PathBuf = folder.join(relative);
    let (inside, real) = match (real(folder), real(&path)) {
        (Ok(folder), Ok(path)) => (path.starts_with(folder), path),
        (_, Err(e)) | (Err(e), _) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err("it is not there; the file belongs into the model's folder".into());
        }
        (_, Err(e)) | (Err(e), _) => return Err(e.to_string()),
    };
    if !inside {
        return Err("it is a link that leads out of the model's folder, which is not followed".into());
    }
    let size = match std::fs::metadata(&real) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err("it is no file".into()),
        Err(e) => return Err(e.to_string()),
    };
    let mut file = File::open(&real).map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    (&mut file).take(HEAD_BYTES).read_to_end(&mut head).map_err(|e| e.to_string())?;
    match impostor::of(&head) {
        Some(found) => Err(format!("this is {}; {}", found.what, found.instead)),
        None => Ok((file, size)),
    }
}

/// What is wrong with elements in another file.
pub(super) fn external(file: &str, tensor: &TensorProto, location: &str, problem: impl Into<String>) -> FormatError {
    FormatError::ExternalData {
        file: file.to_owned(),
        tensor: shorten(&tensor.name),
        location: shorten(location),
        problem: problem.into(),
    }
}
