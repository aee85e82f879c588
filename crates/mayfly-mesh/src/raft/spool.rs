//! A snapshot on its way: written once, read and received in parts. Beside the database, or in memory where that is.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a snapshot in one message.
pub(super) const CHUNK: usize = 1 << 20;

const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".tmp";

pub(super) struct Spool {
    kept: Kept,
    len: u64,
    hasher: blake3::Hasher,
}

enum Kept {
    Memory(Vec<u8>),
    File(TemporaryFile),
}

/// Removed when it is dropped; of a process that was killed, when the member starts again.
struct TemporaryFile {
    file: File,
    path: PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Spool {
    /// An empty one; `folder` is the member's.
    pub(super) fn new(folder: Option<&Path>) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let kept = match folder {
            None => Kept::Memory(Vec::new()),
            Some(folder) => {
                let path = folder.join(format!("{PREFIX}{}{SUFFIX}", COUNT.fetch_add(1, Ordering::Relaxed)));
                let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
                Kept::File(TemporaryFile { file, path })
            }
        };
        Ok(Self { kept, len: 0, hasher: blake3::Hasher::new() })
    }

    /// Removes what a killed process left.
    pub(super) fn sweep(folder: &Path) -> io::Result<()> {
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            let is_ours =
                file.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
            if is_ours {
                std::fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// BLAKE3 of what was written.
    pub(super) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// At most a chunk from an offset on; nothing behind the end.
    pub(super) fn chunk(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let offset = offset.min(self.len);
        let len = (self.len - offset).min(CHUNK as u64);
        let mut bytes = Vec::new();
        match &mut self.kept {
            Kept::Memory(all) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
                bytes.extend(all[start..].iter().take(CHUNK));
            }
            Kept::File(TemporaryFile { file, .. }) => {
                file.seek(SeekFrom::Start(offset))?;
                file.take(len).read_to_end(&mut bytes)?;
            }
        }
        Ok(bytes)
    }

    /// Everything, from the beginning.
    pub(super) fn into_reader(self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self.kept {
            Kept::Memory(bytes) => Box::new(Cursor::new(bytes)),
            Kept::File(mut file) => {
                file.file.seek(SeekFrom::Start(0))?;
                Box::new(io::BufReader::new(file))
            }
        })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.kept {
            Kept::Memory(all) => all.extend(bytes),
            Kept::File(TemporaryFile { file, .. }) => {
                file.seek(SeekFrom::Start(self.len))?;
                file.write_all(bytes)?;
            }
        }
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TemporaryFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.file.read(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Spool};
    use std::io::{Read, Write};

    #[test]
    fn what_is_written_is_read_in_chunks_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..CHUNK + 100).map(|i| i as u8).collect();
        for place in [None, Some(folder.path())] {
            let mut spool = Spool::new(place).expect("a spool");
            bytes.chunks(1000).for_each(|part| spool.write_all(part).expect("written"));
            assert_eq!(spool.chunk(0).expect("read"), bytes[..CHUNK]);
            assert_eq!(spool.chunk(CHUNK as u64).expect("read"), bytes[CHUNK..]);
            assert_eq!(spool.chunk(u64::MAX).expect("read"), b"");
            assert_eq!(spool.hash(), *blake3::hash(&bytes).as_bytes());
            let mut whole = Vec::new();
            spool.into_reader().expect("a reader").read_to_end(&mut whole).expect("read");
            assert_eq!(whole, bytes);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "its file is left");
    }

    #[test]
    fn a_sweep_takes_only_what_is_left_of_spools() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("snapshot-7.tmp"), b"half").expect("written");
        std::fs::write(folder.path().join("mesh.redb"), b"all").expect("written");
        Spool::sweep(folder.path()).expect("swept");
        let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1);
    }
}
