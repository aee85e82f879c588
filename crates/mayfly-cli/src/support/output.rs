//! Files that are written. Each is looked at before a command does any work: it names no file that the command reads,
//! nor another that it writes; its extension goes with what is written; its folder is there and takes files.
use super::exit::{Closed, Usage};
use super::input::is_dash;
use super::ui::{Ui, written};
use anyhow::{Context, Result};
use mayfly_format::atomic;
use serde_json::Value;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The files of one command.
///
/// ```ignore
/// let mut files = Files::reading([("the model", &*args.model), ("the data", &*args.data)])?;
/// let output = files.writing("-o", &args.output, TABLE)?;     // before anything is read
/// output.write(|out| Ok(out.write_all(text.as_bytes())?))?;    // all or nothing
/// files.result(ui, "written", &object)                         // on standard error if the file went to standard output
/// ```
pub struct Files {
    reads: Vec<(String, PathBuf)>,
    writes: Vec<(String, PathBuf)>,
    takes_stdout: bool,
}

/// A place that is ready to be written to.
pub struct Output {
    path: PathBuf,
    place: Place,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    File,
    /// A pipe, a terminal, `/dev/null`: written as it comes.
    Device,
    Stdout,
}

/// Which extensions go with what is written.
#[derive(Clone, Copy)]
pub enum Extensions {
    /// One of these and no other.
    Only { what: &'static str, are: &'static [&'static str] },
    /// Any that does not promise another format.
    Not { what: &'static str, are: &'static [&'static str] },
}

/// Models as Mayfly keeps them.
pub const NATIVE_MODEL: Extensions =
    Extensions::Only { what: "a model in Mayfly's own format", are: &["mayfly", "safetensors"] };
/// Pictures.
pub const PICTURE: Extensions = Extensions::Only { what: "an SVG picture", are: &["svg"] };
/// Comma-separated values.
pub const TABLE: Extensions = Extensions::Not {
    what: "comma-separated values",
    are: &[
        "tsv",
        "tab",
        "parquet",
        "arrow",
        "feather",
        "json",
        "jsonl",
        "npy",
        "npz",
        "xls",
        "xlsx",
        "ods",
        "mayfly",
        "safetensors",
        "onnx",
        "net",
        "dot",
        "svg",
        "png",
        "pdf",
        "html",
        "data",
        "train",
        "gz",
        "bz2",
        "xz",
        "zst",
        "zip",
    ],
};

impl Files {
    /// A command that reads these: what a person calls each, and where it is.
    ///
    /// # Errors
    /// When two of them are standard input.
    pub fn reading<'a>(reads: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<Files> {
        let reads: Vec<(String, PathBuf)> =
            reads.into_iter().map(|(name, path)| (name.to_owned(), path.to_owned())).collect();
        let mut dashes = reads.iter().filter(|(_, path)| is_dash(path)).map(|(name, _)| name);
        if let (Some(first), Some(second)) = (dashes.next(), dashes.next()) {
            return Err(usage(format!("{first} and {second} cannot both be standard input (-)")));
        }
        Ok(Files { reads, writes: Vec::new(), takes_stdout: false })
    }

    /// A file that will be written; `-` is standard output. Nothing is changed yet.
    ///
    /// # Errors
    /// Whatever would keep it from being written, as far as that can be known: it names a file that is read or written otherwise,
    /// a folder, a read-only file, a format that is not written there, or lies in a folder that is not there or takes no files.
    pub fn writing(&mut self, name: &str, path: &Path, extensions: Extensions) -> Result<Output> {
        let place = place(path).map_err(|what| usage(format!("{name} {}: {what}", path.display())))?;
        if place == Place::Stdout && std::mem::replace(&mut self.takes_stdout, true) {
            return Err(usage(format!("{name} -: standard output is taken by another option")));
        }
        self.refuse_clash(name, path, place)?;
        if place == Place::File {
            extensions.check(name, path)?;
            check_folder(path).map_err(|what| usage(format!("{name} {}: {what}", path.display())))?;
        }
        self.writes.push((name.to_owned(), path.to_owned()));
        Ok(Output { path: path.to_owned(), place })
    }

    /// Refuses what is read, and what is written already.
    fn refuse_clash(&self, name: &str, path: &Path, place: Place) -> Result<()> {
        let is_same = |(_, other): &&(String, PathBuf)| match place {
            Place::File => same_file(path, other),
            Place::Stdout => is_stdout(other),
            Place::Device => false,
        };
        if let Some((other, _)) = self.reads.iter().find(is_same) {
            let path = path.display();
            return Err(usage(format!("{name} {path}: that is {other}, which would be lost; choose another name")));
        }
        match self.writes.iter().find(is_same) {
            Some((other, _)) => Err(usage(format!("{name} {}: {other} goes there already", path.display()))),
            None => Ok(()),
        }
    }

    /// The result of the command: on standard output, or on standard error when a file goes to standard output.
    ///
    /// # Errors
    /// As [`Ui::result`].
    pub fn result(&self, ui: Ui, text: &str, object: &Value) -> Result<()> {
        if self.takes_stdout {
            ui.note(text.trim_end());
            return Ok(());
        }
        ui.result(text, object)
    }

    /// Refuses `--json` where a file goes to standard output, which cannot hold both.
    ///
    /// # Errors
    /// That.
    pub fn refuse_json(&self, ui: Ui) -> Result<()> {
        if ui.json && self.takes_stdout {
            return Err(usage(
                "--json prints its object on standard output, where - puts a file; leave one of them out".into(),
            ));
        }
        Ok(())
    }
}

impl Output {
    /// Writes the content: a file appears whole or not at all, and what it replaces stays until then.
    ///
    /// # Errors
    /// Those of `content` as they are, and those of the place.
    pub fn write(&self, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        // Its errors are more than a writer's: they are kept beside what the writer is told.
        let mut failed = None;
        let through = |out: &mut dyn Write| {
            let mut out = BufWriter::new(out);
            content(&mut out).map_err(|error| {
                failed = Some(error);
                io::Error::other("no content")
            })?;
            out.flush()
        };
        let result = match self.place {
            Place::Stdout => written(through(&mut io::stdout().lock())),
            Place::Device => {
                let opened = File::options().write(true).open(&self.path);
                opened.and_then(|mut device| through(&mut device)).with_context(|| format!("cannot write {self}"))
            }
            Place::File => atomic::write(&self.path, through).with_context(|| format!("cannot write {self}")),
        };
        match failed {
            Some(error) => Err(self.explain(error)),
            None => result,
        }
    }

    /// An error of writing names the place; a closed standard output is no error; what else went wrong says so itself.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::BrokenPipe) if self.place == Place::Stdout => Closed.into(),
            Some(_) => error.context(format!("cannot write {self}")),
            None => error,
        }
    }

    /// For those who write to a path: `save` gets that of the file, or of a temporary one that is then passed on.
    ///
    /// # Errors
    /// Those of `save` and of the place.
    pub fn save(&self, save: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.place == Place::File {
            return save(&self.path).with_context(|| format!("cannot write {self}"));
        }
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let path = folder.path().join("output");
        save(&path)?;
        let mut file = File::open(&path)?;
        self.write(|out| Ok(io::copy(&mut file, out).map(drop)?))
    }

    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        self.place == Place::Stdout
    }

    /// Where it goes.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where it goes, for people.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Stdout => f.write_str("standard output"),
            _ => self.path.display().fmt(f),
        }
    }
}

impl Extensions {
    fn check(self, name: &str, path: &Path) -> Result<()> {
        let found = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let shown = path.display();
        match self {
            Extensions::Only { what, are } if !are.contains(&found.as_str()) => {
                let names: Vec<String> = are.iter().map(|extension| format!(".{extension}")).collect();
                let last = names.join(" or ");
                Err(usage(format!("{name} {shown}: {what} is written; give it a name that ends in {last}")))
            }
            Extensions::Not { what, are } if are.contains(&found.as_str()) => Err(usage(format!(
                "{name} {shown}: {what} would be written under the name of another format (.{found})"
            ))),
            _ => Ok(()),
        }
    }
}

fn usage(text: String) -> anyhow::Error {
    Usage(text).into()
}

/// What a path stands for, or why it cannot be written to.
fn place(path: &Path) -> Result<Place, String> {
    if is_dash(path) {
        return Ok(Place::Stdout);
    }
    let text = path.as_os_str().to_string_lossy();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err("that is a folder; name a file in it".into()),
        Ok(found) if !found.is_file() => Ok(Place::Device),
        Ok(found) if found.permissions().readonly() => Err("that file is read-only; choose another name".into()),
        Ok(_) => Ok(Place::File),
        Err(_) if text.is_empty() => Err("that is no file name".into()),
        Err(_) if text.ends_with(std::path::is_separator) || path.file_name().is_none() => {
            Err("that names a folder; name a file in it".into())
        }
        Err(_) if path.is_symlink() => Err("that is a symbolic link that leads nowhere".into()),
        Err(_) => Ok(Place::File),
    }
}

/// Whether the folder is there and takes a new file: the only sure way to know is to make one.
fn check_folder(path: &Path) -> Result<(), String> {
    // What a link leads to is what is replaced.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&real);
    let shown = folder.display();
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no folder {shown}; make it first (mkdir -p {shown})"));
        }
        Err(error) => return Err(format!("cannot look into the folder {shown}: {error}")),
        Ok(found) if !found.is_dir() => return Err(format!("{shown} is no folder")),
        Ok(_) => {}
    }
    let probe = tempfile::Builder::new().prefix(".mayfly-").suffix(".tmp").tempfile_in(folder);
    probe.map(drop).map_err(|error| format!("cannot write into the folder {shown}: {error}"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether two paths lead to one file, by whatever links. One that is not there yet is known by its folder and name.
fn same_file(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        let named = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
        path.canonicalize().ok().or_else(named)
    };
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) if a == b => true,
        _ => matches!((std::fs::metadata(a), std::fs::metadata(b)), (Ok(a), Ok(b)) if same_inode(&a, &b)),
    }
}

#[cfg(unix)]
fn same_inode(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_inode(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    false // no stable way to ask; canonical paths have been compared
}

/// Whether standard output has been redirected into this file, as by `>> data.csv`.
#[cfg(unix)]
fn is_stdout(path: &Path) -> bool {
    use std::os::fd::AsFd;
    let stdout = || File::from(io::stdout().as_fd().try_clone_to_owned().ok()?).metadata().ok();
    matches!((stdout(), std::fs::metadata(path)), (Some(a), Ok(b)) if a.is_file() && same_inode(&a, &b))
}

#[cfg(not(unix))]
fn is_stdout(_: &Path) -> bool {
    false
}
