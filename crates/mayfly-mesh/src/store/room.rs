//! What the database takes, and getting some of it back.

use super::batch::Batch;
use super::{Store, guard};
use crate::error::{MeshError, Result};
use crate::kv::{self, Most, Removal};
use crate::module::Fault;
use redb::CompactionError;
use std::sync::PoisonError;
use std::time::Duration;

/// History that is removed in one transaction: a write that comes meanwhile waits for as much.
const TURN: Most = Most { versions: 1_000, bytes: 4 << 20 };

/// The file that says that the disk was full.
const FULL: &str = "disk-full";

/// How often, and between which pauses, a flush of the log is looked for.
const LOG_LOOKS: u32 = 1_000;
const LOG_LOOK: Duration = Duration::from_millis(1);

impl Store {
    /// The size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Was an alarm raised since the disk had no room, and is it not taken back yet?
    pub(crate) fn is_full_noted(&self) -> bool {
        self.folder().is_some_and(|folder| folder.join(FULL).exists())
    }

    /// Notes that for the next start, which would not know whether the alarm ends by itself. An empty file has room on nearly every disk; without it,
    /// somebody takes the alarm back.
    pub(crate) fn note_full(&self, is_full: bool) {
        let Some(path) = self.folder().map(|folder| folder.join(FULL)) else { return };
        let _ = if is_full { std::fs::File::create(path).map(drop) } else { std::fs::remove_file(path) };
    }

    /// Bytes of the rows of keys, history and leases: what of the file is of use.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn bytes_in_use(&self) -> Result<u64> {
        self.read(kv::used)
    }

    /// Gives the pages that are free back to the system. Between two transactions: who reads or writes meanwhile waits.
    ///
    /// # Errors
    /// [`MeshError::Reading`] while a state of the database is still read, as for a snapshot on its way; [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn defragment(&self) -> Result<()> {
        guard(&self.path, || {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            self.wait_for_log()?; // what is compacted is flushed
            match database.compact() {
                Ok(_) => Ok(()),
                Err(CompactionError::Storage(error)) => Err(self.failed("defragment", Fault::Storage(error.into()))),
                Err(_) => Err(MeshError::Reading { path: self.path.clone() }),
            }
        })
    }

    /// Until the log has flushed what is applied, while nothing more is.
    fn wait_for_log(&self) -> Result<()> {
        for _ in 0..LOG_LOOKS {
            if self.log_has(self.applied()?) {
                return Ok(());
            }
            std::thread::sleep(LOG_LOOK);
        }
        Err(MeshError::Reading { path: self.path.clone() })
    }

    /// Removes some of the history that nobody may ask for any more. Is there more of it? The end of it is flushed, so that a restart goes on from there.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn remove_history(&self) -> Result<bool> {
        if self.read(kv::is_removed)? {
            return Ok(false);
        }
        guard(&self.path, || {
            let mut batch = Batch::begin(self)?;
            let removal = batch.remove_history(TURN)?;
            batch.commit()?;
            if removal == Removal::Done {
                self.committed.send_replace(()); // less is in use
            }
            Ok(removal == Removal::Unfinished)
        })
    }
}
