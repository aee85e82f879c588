//! Files that are read: a path, or `-` for standard input.
use anyhow::{Context, Result};
use std::io::{self, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file by its path. Standard input and pipes are kept in a temporary file until this is dropped, since sources are read more than once.
pub struct Input {
    path: PathBuf,
    _kept: Option<TempDir>,
}

/// Whether a path stands for standard input or output.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    /// The file at `path`; `-` is standard input. What it is, its content says.
    pub fn open(path: &Path) -> Result<Input> {
        if is_dash(path) {
            return Input::keep(&mut io::stdin().lock(), "stdin").context("cannot read standard input");
        }
        if is_pipe(path) {
            let pipe = std::fs::File::open(path);
            let kept = pipe.map_err(anyhow::Error::from).and_then(|mut pipe| Input::keep(&mut pipe, "pipe"));
            return kept.with_context(|| format!("cannot read {}", path.display()));
        }
        Ok(Input { path: path.to_owned(), _kept: None })
    }

    fn keep(from: &mut dyn Read, name: &str) -> Result<Input> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(name);
        io::copy(from, &mut std::fs::File::create_new(&path)?)?;
        Ok(Input { path, _kept: Some(folder) })
    }
}

impl Deref for Input {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// As a shell makes one for `<(…)`.
#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}
