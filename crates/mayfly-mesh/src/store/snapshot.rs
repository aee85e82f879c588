//! The whole state as one stream, for members that were away for too long and for backups: `docs/formats/mesh.md`.

use super::{APPLIED, Store, applied_in, note};
use crate::entry::Tag;
use crate::error::{MeshError, Result};
use crate::logged::Applied;
use crate::module::{Fault, Module};
#[cfg(feature = "raft")]
use redb::ReadableDatabase;
use redb::{ReadTransaction, WriteTransaction};
use std::io::{Read, Write};

const MAGIC: &[u8; 6] = b"mfmesh";
const FORMAT: u16 = 4;
const END: u8 = 0xff;
/// No record of a module is longer; a length read from outside is not believed beyond.
const MAX_RECORD: u32 = 4 << 20;

impl Store {
    /// Writes the whole state, as it stands now, and says where that is.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`]; [`MeshError::Snapshot`] when `out` cannot be written.
    pub fn snapshot(&self, out: &mut dyn Write) -> Result<Applied> {
        let mut out = Sink { out, hasher: blake3::Hasher::new(), failed: None };
        let written = self.read(|transaction| self.emit(transaction, &mut out));
        match out.failed {
            Some(e) => Err(MeshError::Snapshot { what: e.to_string() }),
            None => written,
        }
    }

    /// The state as it stands now, kept as long as this is held.
    #[cfg(feature = "raft")]
    pub(crate) fn view(&self) -> Result<View> {
        super::guard(&self.path, || {
            let fail = |fault| self.failed("read", fault);
            let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
            let table = transaction.open_table(APPLIED).map_err(|e| fail(e.into()))?;
            let applied = applied_in(&table).map_err(fail)?;
            let membership = crate::cluster::membership(&transaction).map_err(fail)?;
            drop(table);
            Ok(View { transaction, applied, membership })
        })
    }

    /// Writes the whole state as it stood when a view was taken.
    #[cfg(feature = "raft")]
    pub(crate) fn snapshot_of(&self, view: &View, out: &mut dyn Write) -> Result<Applied> {
        super::guard(&self.path, || {
            let mut out = Sink { out, hasher: blake3::Hasher::new(), failed: None };
            let written = self.emit(&view.transaction, &mut out);
            match out.failed {
                Some(e) => Err(MeshError::Snapshot { what: e.to_string() }),
                None => written.map_err(|fault| self.failed("read", fault)),
            }
        })
    }

    fn emit(&self, transaction: &ReadTransaction, out: &mut Sink<'_>) -> core::result::Result<Applied, Fault> {
        let applied = applied_in(&transaction.open_table(APPLIED)?)?;
        out.put(MAGIC)?;
        out.put(&FORMAT.to_be_bytes())?;
        for number in [self.owner.cluster, applied.index, applied.term] {
            out.put(&number.to_be_bytes())?;
        }
        for module in &self.modules {
            out.put(&[module.tag().0])?;
            module.snapshot(transaction, &mut |record| {
                let long = || Fault::Damaged(format!("a record has {} bytes", record.len()));
                let len = u32::try_from(record.len()).ok().filter(|len| (1..=MAX_RECORD).contains(len));
                out.put(&len.ok_or_else(long)?.to_be_bytes())?;
                out.put(record)
            })?;
            out.put(&[0; 4])?;
        }
        out.put(&[END])?;
        let hash = *out.hasher.finalize().as_bytes();
        out.put(&hash)?;
        Ok(applied)
    }

    /// Takes a snapshot of the same cluster in place of the state, wholly or not at all.
    ///
    /// # Errors
    /// [`MeshError::Snapshot`] for a stream that is cut, damaged, of another cluster or of a later format; [`MeshError::Disk`].
    pub fn restore(&self, input: &mut dyn Read) -> Result<Applied> {
        self.write(|batch| batch.install(input))?;
        self.applied()
    }

    pub(super) fn not_taken(&self, fault: Fault) -> MeshError {
        match fault {
            Fault::Damaged(what) | Fault::Unreadable(what) => MeshError::Snapshot { what },
            fault => self.failed("write", fault),
        }
    }

    pub(super) fn take(
        &self,
        transaction: &WriteTransaction,
        input: &mut dyn Read,
    ) -> core::result::Result<Applied, Fault> {
        let mut input = Source { input, hasher: blake3::Hasher::new() };
        if &input.array::<6>()? != MAGIC {
            return Err(Fault::Damaged("it does not begin as one".into()));
        }
        let format = u16::from_be_bytes(input.array()?);
        if format != FORMAT {
            return Err(Fault::Unreadable(format!("it has format {format}, this program reads {FORMAT}")));
        }
        let [cluster, index, term] = [input.number()?, input.number()?, input.number()?];
        if cluster != self.owner.cluster {
            let own = self.owner.cluster;
            return Err(Fault::Damaged(format!("it is of cluster {cluster:016x}, this is {own:016x}")));
        }
        let mut missing: Vec<&dyn Module> = self.modules.iter().map(|module| &**module).collect();
        loop {
            let [tag] = input.array()?;
            if tag == END {
                break;
            }
            let place = missing.iter().position(|module| module.tag() == Tag(tag));
            let place = place.ok_or_else(|| Fault::Unreadable(format!("it has state of a module {tag}")))?;
            let mut is_over = false;
            missing.remove(place).restore(transaction, &mut || {
                let record = if is_over { None } else { input.record()? };
                is_over = record.is_none();
                Ok(record)
            })?;
            if !is_over {
                return Err(Fault::Damaged(format!("module {tag} left records over")));
            }
        }
        if let Some(module) = missing.first() {
            return Err(Fault::Damaged(format!("it lacks the state of module {}", module.tag().0)));
        }
        let want = *input.hasher.finalize().as_bytes();
        if input.array::<32>()? != want {
            return Err(Fault::Damaged("its bytes are not what was written".into()));
        }
        let applied = Applied { index, term };
        note(transaction, applied)?;
        Ok(applied)
    }
}

/// One committed state. Its pages are kept as long as it is held.
#[cfg(feature = "raft")]
pub(crate) struct View {
    transaction: ReadTransaction,
    pub(crate) applied: Applied,
    pub(crate) membership: crate::proto::meshpb::StoredMembership,
}

struct Sink<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    /// Why it could not be written: no fault of the database.
    failed: Option<std::io::Error>,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> core::result::Result<(), Fault> {
        self.hasher.update(bytes);
        self.out.write_all(bytes).map_err(|e| {
            let what = e.to_string();
            self.failed = Some(e);
            Fault::Damaged(what)
        })
    }
}

struct Source<'a> {
    input: &'a mut dyn Read,
    hasher: blake3::Hasher,
}

impl Source<'_> {
    fn array<const N: usize>(&mut self) -> core::result::Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> core::result::Result<(), Fault> {
        self.input.read_exact(bytes).map_err(|e| Fault::Damaged(format!("it cannot be read to its end: {e}")))?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn number(&mut self) -> core::result::Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// None at the end of a module.
    fn record(&mut self) -> core::result::Result<Option<Vec<u8>>, Fault> {
        let len = u32::from_be_bytes(self.array()?);
        match len {
            0 => Ok(None),
            1..=MAX_RECORD => {
                let mut record = vec![0; len as usize];
                self.fill(&mut record)?;
                Ok(Some(record))
            }
            len => Err(Fault::Damaged(format!("it claims a record of {len} bytes"))),
        }
    }
}
