//! Where the slots of a log lie: in a node's folder, or on a simulator's disk.

use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// A slot, as a file that is there.
pub type SlotFile = Box<dyn StorageBackend>;

/// Where the slots of a log lie. A slot is a file of one length that is written again and again.
pub trait LogDisk: Send + Sync + Debug {
    /// The length of a slot that is made.
    fn slot_bytes(&self) -> u64;

    /// The numbers of the slots that are there, in any order.
    ///
    /// # Errors
    /// What the system said; as with the other functions.
    fn slots(&self) -> io::Result<Vec<u32>>;

    /// Opens a slot that is there.
    ///
    /// # Errors
    /// What the system said.
    fn open(&self, slot: u32) -> io::Result<SlotFile>;

    /// Makes a slot of zeros, which is on the disk when this returns.
    ///
    /// # Errors
    /// What the system said.
    fn make(&self, slot: u32, bytes: u64) -> io::Result<SlotFile>;

    /// Removes a slot whose frames nobody needs: it may come back after a power loss.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, slot: u32) -> io::Result<()>;

    /// Bytes that whoever runs this node may still write there; none where nobody can say.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// After a flush that failed the system may hold as written what is not on the disk. Whoever opens these files again, and the database beside them,
    /// must not read that.
    fn forget_cached(&self) {}

    /// What a slot is called in messages.
    fn path(&self, slot: u32) -> PathBuf;
}

/// Slots in a node's folder: `mesh-0.log`, `mesh-1.log`, ...
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

/// Of a slot in a folder: a log has as many as it needs, and one that is free.
const SLOT: u64 = 8 << 20;

impl LogDisk for Folder {
    fn slot_bytes(&self) -> u64 {
        SLOT
    }

    fn slots(&self) -> io::Result<Vec<u32>> {
        let mut slots = Vec::new();
        for file in std::fs::read_dir(&self.0)? {
            let name = file?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("mesh-")?.strip_suffix(".log"));
            slots.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        Ok(slots)
    }

    fn open(&self, slot: u32) -> io::Result<SlotFile> {
        boxed(OpenOptions::new().read(true).write(true).open(self.path(slot))?)
    }

    /// Zeros are written rather than a length set: an overwritten block changes nothing in the file system's own books, so that flushing it takes
    /// half the time.
    fn make(&self, slot: u32, bytes: u64) -> io::Result<SlotFile> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(slot))?;
        let zeros = vec![0; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let part = left.min(zeros.len() as u64);
            file.write_all(&zeros[..usize::try_from(part).unwrap_or(zeros.len())])?;
            left -= part;
        }
        file.sync_all()?;
        mayfly_base::atomic::sync_folder(&self.0)?;
        boxed(file)
    }

    fn remove(&self, slot: u32) -> io::Result<()> {
        std::fs::remove_file(self.path(slot))
    }

    fn forget_cached(&self) {
        let forget = || {
            for file in std::fs::read_dir(&self.0)? {
                let path = file?.path();
                if path.is_file() {
                    forget(&File::open(path)?)?;
                }
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = forget() {
            let path = self.0.display();
            tracing::warn!(%path, %error, "the system may go on holding what its disk has not: start the machine anew before this node");
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        fs4::available_space(&self.0).ok()
    }

    fn path(&self, slot: u32) -> PathBuf {
        self.0.join(format!("mesh-{slot}.log"))
    }
}

fn boxed(file: File) -> io::Result<SlotFile> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

/// Lets the system forget what it holds of a file and need not write any more.
#[cfg(target_os = "linux")]
fn forget(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Elsewhere a failed flush leaves what was not written to be written, or nobody can ask for this.
#[cfg(not(target_os = "linux"))]
fn forget(_: &File) -> io::Result<()> {
    Ok(())
}
