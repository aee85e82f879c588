//! Artefacts by their digest, in a folder. What is under its digest is whole and was checked; what is on its way has another name.

use blake3::Hash;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are sent at once.
pub const CHUNK: usize = 1 << 20;

/// A folder of artefacts.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
    /// Held by whoever fetches one: two who append the same piece would be in each other's way.
    pub(crate) fetching: Arc<tokio::sync::Mutex<()>>,
}

/// Where in the folder of a member they are.
pub const FOLDER: &str = "models";

impl Blobs {
    /// A folder that may be missing, to look at.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.into(), fetching: Arc::default() }
    }

    /// The folder, made where there is none.
    ///
    /// # Errors
    /// What the system said; as with the other functions.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self::at(folder))
    }

    /// The length of an artefact that is here.
    ///
    /// # Errors
    /// What the system said.
    pub fn len(&self, digest: Hash) -> io::Result<Option<u64>> {
        length(&self.path(digest))
    }

    /// How much of an artefact has come, of an upload that broke off.
    ///
    /// # Errors
    /// What the system said.
    pub fn received(&self, digest: Hash) -> io::Result<u64> {
        Ok(length(&self.part(digest))?.unwrap_or(0))
    }

    /// Takes bytes of an artefact on its way, which follow on those that have come. Says how much there is then.
    ///
    /// # Errors
    /// What the system said; [`io::ErrorKind::InvalidInput`] for bytes that do not follow.
    pub fn receive(&self, digest: Hash, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.part(digest))?;
        let there = file.metadata()?.len();
        if offset != there {
            let what = format!("{there} bytes of it are here, and these begin at {offset}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        file.write_all(bytes)?;
        Ok(there + bytes.len() as u64)
    }

    /// Checks what has come, and puts it under its digest, on the disk. What is not what it should be is thrown away.
    ///
    /// # Errors
    /// What the system said; [`io::ErrorKind::InvalidData`] for other bytes.
    pub fn finish(&self, digest: Hash) -> io::Result<u64> {
        let part = self.part(digest);
        let mut file = OpenOptions::new().read(true).write(true).open(&part)?;
        let (found, size) = hash(&mut file)?;
        if found != digest {
            std::fs::remove_file(&part)?;
            let what = format!("the bytes that came have digest {found}, not {digest}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        file.sync_all()?;
        drop(file);
        std::fs::rename(&part, self.path(digest))?;
        mayfly_base::atomic::sync_folder(&self.folder)?;
        Ok(size)
    }

    /// Some bytes of an artefact, from one on; fewer at its end.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&self, digest: Hash, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(digest))?;
        file.seek(SeekFrom::Start(offset))?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = Vec::with_capacity(most.min(usize::try_from(left).unwrap_or(most)));
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Lets go of all artefacts but those that are wanted, and of what is on its way; says of how many bytes. What came within the last
    /// `young` is kept: it may be registered in a moment.
    ///
    /// # Errors
    /// What the system said.
    pub fn sweep(&self, wanted: &[Hash], young: std::time::Duration) -> io::Result<u64> {
        let mut freed = 0;
        for file in std::fs::read_dir(&self.folder)? {
            let file = file?;
            let (name, meta) = (file.file_name(), file.metadata()?);
            let digest = name.to_str().map(|name| name.trim_end_matches(PART)).and_then(|hex| Hash::from_hex(hex).ok());
            let is_young = meta.modified()?.elapsed().is_ok_and(|age| age < young);
            if digest.is_none_or(|digest| wanted.contains(&digest)) || is_young {
                continue;
            }
            std::fs::remove_file(file.path())?;
            freed += meta.len();
        }
        Ok(freed)
    }

    fn path(&self, digest: Hash) -> PathBuf {
        self.folder.join(digest.to_hex().as_str())
    }

    fn part(&self, digest: Hash) -> PathBuf {
        self.folder.join(format!("{}{PART}", digest.to_hex()))
    }
}

const PART: &str = ".part";

/// The digest and length of a file.
fn hash(file: &mut File) -> io::Result<(Hash, u64)> {
    let (mut hasher, mut size, mut chunk) = (blake3::Hasher::new(), 0, vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((hasher.finalize(), size)),
            count => {
                hasher.update(&chunk[..count]);
                size += count as u64;
            }
        }
    }
}

fn length(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::Blobs;
    use std::io::ErrorKind;
    use std::time::Duration;

    #[test]
    fn an_upload_goes_on_where_it_broke_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = blake3::hash(b"one two");
        let blobs = Blobs::open(folder.path()).expect("opened");
        assert_eq!(blobs.receive(digest, 0, b"one ").expect("taken"), 4);
        let blobs = Blobs::open(folder.path()).expect("opened again");
        assert_eq!((blobs.received(digest).expect("looked"), blobs.len(digest).expect("looked")), (4, None));
        assert_eq!(blobs.receive(digest, 0, b"one ").map_err(|e| e.kind()), Err(ErrorKind::InvalidInput));
        assert_eq!(blobs.receive(digest, 4, b"two").expect("taken"), 7);
        assert_eq!(blobs.finish(digest).expect("whole"), 7);
        assert_eq!(blobs.read(digest, 2, 3).expect("read"), b"e t");
        assert_eq!((blobs.received(digest).expect("looked"), blobs.len(digest).expect("looked")), (0, Some(7)));
    }

    #[test]
    fn other_bytes_are_thrown_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(folder.path()).expect("opened");
        let digest = blake3::hash(b"what was signed");
        blobs.receive(digest, 0, b"what was put in its place").expect("taken");
        assert_eq!(blobs.finish(digest).map_err(|e| e.kind()), Err(ErrorKind::InvalidData));
        assert_eq!((blobs.received(digest).expect("looked"), blobs.len(digest).expect("looked")), (0, None));
    }

    #[test]
    fn what_is_not_wanted_is_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(folder.path()).expect("opened");
        let [kept, gone, part] = [&b"kept"[..], b"gone", b"part"].map(|bytes| {
            let digest = blake3::hash(bytes);
            blobs.receive(digest, 0, bytes).expect("taken");
            digest
        });
        for digest in [kept, gone] {
            blobs.finish(digest).expect("whole");
        }
        std::fs::write(folder.path().join("README"), "no artefact").expect("written");
        assert_eq!(blobs.sweep(&[kept], Duration::from_secs(60)).expect("swept"), 0, "they are young");
        assert_eq!(blobs.sweep(&[kept], Duration::ZERO).expect("swept"), 8);
        let there = [kept, gone].map(|digest| blobs.len(digest).expect("looked"));
        assert_eq!((there, blobs.received(part).expect("looked")), ([Some(4), None], 0));
        assert!(folder.path().join("README").exists());
    }
}
