//! The file of the database, which is written no more once a disk has failed.

use redb::StorageBackend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes no more writes. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub(super) struct Shut(Arc<AtomicBool>);

impl Shut {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Acquire) {
            true => Err(io::Error::other("a disk has failed before")),
            false => Ok(()),
        }
    }
}

/// redb writes what was applied and not flushed yet when it is closed: of a member whose log failed, that may be entries that its log does not have.
/// Nobody else is kept out here: the folder's lock does that.
#[derive(Debug)]
pub(super) struct Backend<B> {
    pub(super) file: B,
    pub(super) shut: Shut,
}

impl<B: StorageBackend> StorageBackend for Backend<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.shut.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.shut.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.shut.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use crate::proto::etcdserverpb::PutRequest;
    use crate::proto::meshpb::command::Request;
    use crate::{Applied, Logged, Store, kv, modules};

    /// Applied by a leader, since others had it, while its own log could not be flushed.
    #[test]
    fn what_was_applied_and_not_flushed_is_not_written_after_a_disk_has_failed() {
        for (is_failed, want) in [(false, 2), (true, 1)] {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(folder.path(), modules()).expect("a store");
            let put = PutRequest { key: b"a".to_vec(), value: b"1".to_vec(), ..PutRequest::default() };
            let entry = kv::entry(Request::Put(put)).encode();
            let logged = Logged { at: Applied { index: 2, term: 1 }, entry };
            let applied = store.write_together(|batch| batch.apply(&[logged])).expect("applied");
            assert!(!applied.1, "it was flushed");
            assert_eq!(store.applied().expect("readable").index, 2);
            if is_failed {
                store.forget_cached();
            }
            drop(store);
            let again = Store::open(folder.path(), modules()).expect("a store");
            assert_eq!(again.applied().expect("readable").index, want, "failed: {is_failed}");
        }
    }
}
