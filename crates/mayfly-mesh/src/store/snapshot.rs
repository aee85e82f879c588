//! The whole state as one stream, for members that were away for too long and for backups: `docs/formats/mesh.md`.

use super::{APPLIED, Store, applied_in, note};
use crate::entry::Tag;
use crate::error::{MeshError, Result};
use crate::logged::Applied;
use crate::module::{Fault, Module, Next};
use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use std::io::{Read, Write};

pub(crate) const MAGIC: &[u8; 6] = b"mfmesh";
pub(crate) const FORMAT: u16 = 5;
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
    pub(crate) fn view(&self) -> Result<View> {
        super::guard(&self.path, || {
            let fail = |fault| self.failed("read", fault);
            let transaction = self.database().begin_read().map_err(|e| fail(e.into()))?;
            let table = transaction.open_table(APPLIED).map_err(|e| fail(e.into()))?;
            let applied = applied_in(&table).map_err(fail)?;
            let membership = crate::cluster::membership(&transaction).map_err(fail)?;
            drop(table);
            Ok(View { transaction, applied, membership })
        })
    }

    /// Writes the whole state as it stood when a view was taken.
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
        let own = self.owner.cluster;
        let walked = take(&self.modules, transaction, input, &mut |Header { cluster, .. }| match cluster == own {
            true => Ok(()),
            false => Err(Fault::Damaged(format!("it is of cluster {cluster:016x}, this is {own:016x}"))),
        })?;
        note(transaction, walked.header.at)?;
        Ok(walked.header.at)
    }
}

/// What a stream says before its records: the state of a cluster after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) cluster: u64,
    pub(crate) at: Applied,
}

/// A stream that was read to its end, and whose hash is that of its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    pub(crate) header: Header,
    /// BLAKE3 over everything before it.
    pub(crate) hash: [u8; 32],
    /// The length of the stream with its hash.
    pub(crate) bytes: u64,
}

/// Is told what a stream is of.
type Greet<'a> = &'a mut dyn FnMut(Header) -> core::result::Result<(), Fault>;
/// Takes the records of a module, all of them.
type Each<'a> = &'a mut dyn FnMut(Tag, Next<'_>) -> core::result::Result<(), Fault>;

/// Reads a stream. What was made of its records counts only when this has returned: the hash comes last.
pub(crate) fn walk(input: &mut dyn Read, greet: Greet<'_>, each: Each<'_>) -> core::result::Result<Walked, Fault> {
    let mut input = Source { input, hasher: blake3::Hasher::new(), bytes: 0 };
    if &input.array::<6>()? != MAGIC {
        return Err(Fault::Damaged("it does not begin as one".into()));
    }
    let format = u16::from_be_bytes(input.array()?);
    if format != FORMAT {
        return Err(Fault::Unreadable(format!("it has format {format}, this program reads {FORMAT}")));
    }
    let [cluster, index, term] = [input.number()?, input.number()?, input.number()?];
    let header = Header { cluster, at: Applied { index, term } };
    greet(header)?;
    loop {
        let [tag] = input.array()?;
        if tag == END {
            break;
        }
        let mut is_over = false;
        each(Tag(tag), &mut || {
            let record = if is_over { None } else { input.record()? };
            is_over = record.is_none();
            Ok(record)
        })?;
        if !is_over {
            return Err(Fault::Damaged(format!("module {tag} left records over")));
        }
    }
    let want = *input.hasher.finalize().as_bytes();
    let hash = input.array()?;
    if hash != want {
        return Err(Fault::Damaged("its bytes are not what was written".into()));
    }
    Ok(Walked { header, hash, bytes: input.bytes })
}

/// Takes a stream in place of the state of all modules. Where the applied index stands is not changed.
pub(super) fn take(
    modules: &[Box<dyn Module>],
    transaction: &WriteTransaction,
    input: &mut dyn Read,
    greet: Greet<'_>,
) -> core::result::Result<Walked, Fault> {
    let mut missing: Vec<&dyn Module> = modules.iter().map(|module| &**module).collect();
    let walked = walk(input, greet, &mut |tag, next| {
        let place = missing.iter().position(|module| module.tag() == tag);
        let place = place.ok_or_else(|| Fault::Unreadable(format!("it has state of a module {}", tag.0)))?;
        missing.remove(place).restore(transaction, next)
    })?;
    match missing.first() {
        Some(module) => Err(Fault::Damaged(format!("it lacks the state of module {}", module.tag().0))),
        None => Ok(walked),
    }
}

impl View {
    /// The revision of its newest write.
    pub(crate) fn revision(&self) -> core::result::Result<i64, Fault> {
        crate::kv::revision(&self.transaction)
    }
}

/// One committed state. Its pages are kept as long as it is held.
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
    bytes: u64,
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
        self.bytes += bytes.len() as u64;
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
