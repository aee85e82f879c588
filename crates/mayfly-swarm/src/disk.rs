//! The memory on disk: one `redb` file, one thread that writes it, one commit for everyone who waits.

use crate::crdt::Stamp;
use crate::memory::{Change, Context, Record};
use crate::{Result, SwarmError};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use mayfly_base::NodeId;
use mayfly_wire::Peer;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Key → eight bytes of BLAKE3 over the rest, then postcard of stamp and value.
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// `format`, `owner`, `clock`, `context`, `peers`.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const FORMAT: u8 = 1;
/// Bytes of pages kept in memory; the records themselves are held by the replica.
const CACHE: usize = 2 << 20;
/// How long what nobody waits for may wait for a commit that somebody waits for. A flush costs the disk as much for one record as for a hundred.
pub(crate) const LINGER: Duration = Duration::from_millis(100);
/// Until what the disk refused is tried again, if nothing else is written before.
const AGAIN: Duration = Duration::from_secs(1);

/// What a file had.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Every record, tombstones too.
    pub records: Vec<Record>,
    /// The highest stamp that was kept.
    pub clock: Stamp,
    /// What the memory had seen.
    pub context: Context,
    /// Members that were there lately.
    pub peers: Vec<Peer>,
}

/// What is to be kept.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Records to keep and to forget.
    pub changes: Vec<Change>,
    /// A stamp as high as any.
    pub clock: Stamp,
    /// Members that are there, if they are to be kept anew.
    pub peers: Option<Vec<Peer>>,
}

type Answer = oneshot::Sender<Result<()>>;

enum Job {
    Commit(Batch, Answer),
    Owe(Batch),
    Stop(Answer),
}

/// Opens the database; again after an error, since `redb` does not go on after one.
type Open = Box<dyn FnMut() -> Result<Database> + Send>;

/// The file of one node's memory. Dropping it ends the thread after what was submitted.
#[derive(Clone)]
pub struct Disk {
    jobs: Sender<Job>,
}

impl Disk {
    /// Opens the file, or makes it at the first start of a node, and reads everything. Checks every page and every record.
    ///
    /// # Errors
    /// [`SwarmError::Lost`] for an empty file, [`SwarmError::Damaged`], [`SwarmError::InUse`], [`SwarmError::OtherOwner`], [`SwarmError::Disk`].
    pub fn open(path: &Path, owner: NodeId) -> Result<(Self, Loaded)> {
        match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make(path, owner)?,
            _ => {}
        }
        Self::open_existing(path, owner)
    }

    /// As [`Disk::open`], at a later start: the loss of the file is not taken for a first start.
    ///
    /// # Errors
    /// [`SwarmError::Lost`] for a file that is missing or empty, and those of [`Disk::open`].
    pub fn open_existing(path: &Path, owner: NodeId) -> Result<(Self, Loaded)> {
        let lost = |state| Err(SwarmError::Lost { path: path.into(), state });
        match std::fs::metadata(path) {
            Ok(file) if file.len() == 0 => return lost("empty"),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return lost("missing"),
            _ => {} // what else is wrong, opening says
        }
        let file = path.to_path_buf();
        let mut is_first = true;
        let open = move || {
            let check = core::mem::take(&mut is_first);
            guard(&file, || {
                let mut builder = Database::builder();
                builder.set_cache_size(CACHE).set_check_integrity_on_open(check);
                builder.open(&file).map_err(|e| refused("open", &file, &e.into()))
            })
        };
        Self::open_with(path.to_path_buf(), owner, Box::new(open))
    }

    fn open_with(path: PathBuf, owner: NodeId, mut open: Open) -> Result<(Self, Loaded)> {
        let database = open()?;
        let loaded = guard(&path, || load(&database, &path, owner))?;
        let (jobs, inbox) = channel();
        let writer = Writer { path: path.clone(), open, database: Some(database), owed: Batch::default(), due: None };
        let spawned = std::thread::Builder::new().name("mayfly-disk".into()).spawn(move || writer.run(&inbox));
        spawned.map_err(|e| SwarmError::Disk { action: "start the writer of", path, reason: e.to_string() })?;
        Ok((Self { jobs }, loaded))
    }

    /// Keeps something; it is on disk when this returns.
    ///
    /// # Errors
    /// [`SwarmError::Disk`]: then it is not.
    pub async fn commit(&self, batch: Batch) -> Result<()> {
        let (answer, done) = oneshot::channel();
        let _ = self.jobs.send(Job::Commit(batch, answer)); // without a writer, the receiver says so
        done.await.map_err(|_| SwarmError::Stopped)?
    }

    /// Keeps something with the next commit, within 100 ms (tombstones at once), and tries again while the disk refuses: for what other members have, too.
    pub fn owe(&self, batch: Batch) {
        let _ = self.jobs.send(Job::Owe(batch)); // a disk that is closed keeps nothing
    }

    /// Closes the file after everything submitted before.
    ///
    /// # Errors
    /// [`SwarmError::Disk`] when what was owed could not be written.
    pub async fn close(&self) -> Result<()> {
        let (answer, done) = oneshot::channel();
        let _ = self.jobs.send(Job::Stop(answer));
        done.await.map_err(|_| SwarmError::Stopped)?
    }
}

struct Writer {
    path: PathBuf,
    open: Open,
    database: Option<Database>,
    /// Other members' records that are not written yet. Local writes are never owed: they are refused.
    owed: Batch,
    /// When what is owed is written at the latest.
    due: Option<Instant>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let first = match self.due {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                let _ = self.commit(&[], Owed::Too); // nobody is left to be told
                return;
            }
            let (mut batches, mut stop) = (Vec::new(), None);
            for job in first.into_iter().chain(inbox.try_iter()) {
                match job {
                    Job::Commit(batch, answer) => batches.push((batch, answer)),
                    Job::Owe(batch) => self.owe(batch),
                    Job::Stop(answer) => stop = Some(answer),
                }
            }
            if !batches.is_empty() || self.due.is_some_and(|due| due <= Instant::now()) {
                self.write(batches);
            }
            if let Some(answer) = stop {
                let last = self.commit(&[], Owed::Too);
                self.database = None;
                let _ = answer.send(last);
                return;
            }
        }
    }

    /// A member that has seen a tombstone says so, and the others forget it then: it must not come back without it.
    fn owe(&mut self, batch: Batch) {
        let is_grave = batch.changes.iter().any(|change| matches!(change, Change::Put(Record { value: None, .. })));
        let wait = if is_grave { Duration::ZERO } else { LINGER };
        let due = Instant::now() + wait;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.owed.changes.extend(batch.changes);
        self.owed.clock = self.owed.clock.max(batch.clock);
    }

    /// One transaction for all; when it fails, one for each, so that a value too large for the disk does not take others with it.
    fn write(&mut self, batches: Vec<(Batch, Answer)>) {
        let all: Vec<&Batch> = batches.iter().map(|(batch, _)| batch).collect();
        if self.commit(&all, Owed::Too).is_ok() {
            batches.into_iter().for_each(|(_, answer)| drop(answer.send(Ok(()))));
            return;
        }
        self.due = self.due.map(|_| Instant::now() + AGAIN);
        for (batch, answer) in batches {
            let _ = answer.send(self.commit(&[&batch], Owed::Not)); // nobody may be waiting any more
        }
    }

    fn commit(&mut self, batches: &[&Batch], owed: Owed) -> Result<()> {
        let owed = (owed == Owed::Too && !self.owed.changes.is_empty()).then_some(&self.owed);
        let all: Vec<&Batch> = owed.into_iter().chain(batches.iter().copied()).collect();
        if all.is_empty() {
            self.due = None;
            return Ok(());
        }
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)()?,
        };
        guard(&self.path, || store(&database, &all).map_err(|e| refused("write", &self.path, &e)))?;
        if owed.is_some() {
            (self.owed, self.due) = (Batch::default(), None);
        }
        self.database = Some(database); // not put back after an error: it is opened again
        Ok(())
    }
}

/// Does a commit take along what is owed?
#[derive(PartialEq, Eq)]
enum Owed {
    Too,
    Not,
}

/// `redb` asserts on some kinds of damage; a damaged file must not take the process down.
fn guard<T>(path: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = |_| SwarmError::Damaged { path: path.into(), what: "its pages contradict each other".into() };
    catch_unwind(AssertUnwindSafe(act)).map_err(damaged)?
}

fn refused(action: &'static str, path: &Path, error: &redb::Error) -> SwarmError {
    match error {
        redb::Error::DatabaseAlreadyOpen => SwarmError::InUse { path: path.into() },
        redb::Error::Corrupted(what) => SwarmError::Damaged { path: path.into(), what: what.clone() },
        redb::Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            SwarmError::Damaged { path: path.into(), what: e.to_string() }
        }
        error => SwarmError::Disk { action, path: path.into(), reason: error.to_string() },
    }
}

/// Makes a file under another name first: under its own, it is whole.
fn make(path: &Path, owner: NodeId) -> Result<()> {
    let fail = |e: std::io::Error| SwarmError::Disk { action: "make", path: path.into(), reason: e.to_string() };
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {} // of a start that was killed
    }
    guard(&new, || {
        let database = Database::builder().create(&new).map_err(|e| refused("make", &new, &e.into()))?;
        claim(&database, owner).map_err(|e| refused("make", &new, &e))
    })?;
    std::fs::rename(&new, path).map_err(fail)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}

fn store(database: &Database, batches: &[&Batch]) -> core::result::Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for change in batches.iter().flat_map(|batch| &batch.changes) {
            apply(&mut records, change)?;
        }
        let peers = batches.iter().rev().find_map(|batch| batch.peers.as_ref());
        let clock = batches.iter().map(|batch| batch.clock).max().unwrap_or_default();
        let context =
            batches.iter().rev().flat_map(|batch| batch.changes.iter().rev()).find_map(|change| match change {
                Change::Seen(context) => Some(&**context),
                _ => None,
            });
        if peers.is_some() || context.is_some() || !shows(batches, clock) {
            note(&transaction, clock, context, peers)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Do the records say by themselves how late it is? Then there is one table less to write.
fn shows(batches: &[&Batch], clock: Stamp) -> bool {
    let mut changes = batches.iter().flat_map(|batch| &batch.changes);
    changes.clone().all(|change| matches!(change, Change::Put(_)))
        && changes.any(|change| matches!(change, Change::Put(record) if (record.stamp.ms, record.stamp.count) >= (clock.ms, clock.count)))
}

/// The clock, if it is higher than the one kept, what was seen, and who is there.
fn note(
    transaction: &redb::WriteTransaction,
    clock: Stamp,
    context: Option<&Context>,
    peers: Option<&Vec<Peer>>,
) -> core::result::Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let kept = meta.get("clock")?.and_then(|bytes| postcard::from_bytes::<Stamp>(bytes.value()).ok());
    if kept.is_none_or(|kept| kept < clock) {
        meta.insert("clock", &encode(&clock)[..])?;
    }
    if let Some(context) = context {
        meta.insert("context", &encode(context)[..])?;
    }
    if let Some(peers) = peers {
        let peers: Vec<_> = peers.iter().map(|peer| (peer.id, peer.addr)).collect();
        meta.insert("peers", &encode(&peers)[..])?;
    }
    Ok(())
}

fn apply(table: &mut redb::Table<'_, &[u8], &[u8]>, change: &Change) -> core::result::Result<(), redb::Error> {
    match change {
        Change::Put(record) => {
            let old = table.get(&record.key[..])?.and_then(|bytes| decode(&record.key, bytes.value()));
            if old.is_none_or(|old| old.version() <= record.version()) {
                table.insert(&record.key[..], &seal(record)[..])?;
            }
        }
        Change::Forget { key, stamp } => {
            let old = table.get(&key[..])?.and_then(|bytes| decode(key, bytes.value()));
            if old.is_some_and(|old| old.stamp == *stamp) {
                table.remove(&key[..])?;
            }
        }
        Change::Seen(_) => {} // noted once for all
    }
    Ok(())
}

fn load(database: &Database, path: &Path, owner: NodeId) -> Result<Loaded> {
    let fail = |e: redb::Error| refused("read", path, &e);
    check(database, path, owner)?;
    let transaction = database.begin_read().map_err(|e| fail(e.into()))?;
    let meta = transaction.open_table(META).map_err(|e| fail(e.into()))?;
    let value = |name: &str| -> Result<Option<Vec<u8>>> {
        let bytes = meta.get(name).map_err(|e| fail(e.into()))?;
        Ok(bytes.map(|bytes| bytes.value().to_vec()))
    };
    let mut loaded = Loaded::default();
    if let Some(bytes) = value("clock")? {
        let damaged = || SwarmError::Damaged { path: path.into(), what: "the clock cannot be read".into() };
        loaded.clock = postcard::from_bytes(&bytes).map_err(|_| damaged())?;
    }
    if let Some(bytes) = value("context")? {
        let damaged = || SwarmError::Damaged { path: path.into(), what: "what it has seen cannot be read".into() };
        loaded.context = postcard::from_bytes(&bytes).map_err(|_| damaged())?;
    }
    if let Some(bytes) = value("peers")? {
        let peers: Vec<(NodeId, std::net::SocketAddr)> = postcard::from_bytes(&bytes).unwrap_or_default(); // only a hint
        loaded.peers = peers.into_iter().map(|(id, addr)| Peer { id, addr }).collect();
    }
    let records = transaction.open_table(RECORDS).map_err(|e| fail(e.into()))?;
    for entry in records.iter().map_err(|e| fail(e.into()))? {
        let (key, bytes) = entry.map_err(|e| fail(e.into()))?;
        let what = || format!("the record of key {:?} is not what was written", String::from_utf8_lossy(key.value()));
        let record = decode(key.value(), bytes.value());
        let record = record.ok_or_else(|| SwarmError::Damaged { path: path.into(), what: what() })?;
        loaded.clock = loaded.clock.max(record.stamp);
        loaded.records.push(record);
    }
    Ok(loaded)
}

/// Makes the tables of a new file.
fn claim(database: &Database, owner: NodeId) -> core::result::Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(RECORDS)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", &[FORMAT][..])?;
        meta.insert("owner", &owner.0[..])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Refuses a file of another node, of a later format, or of something else.
fn check(database: &Database, path: &Path, owner: NodeId) -> Result<()> {
    let read = || -> core::result::Result<_, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        let format = meta.get("format")?.and_then(|bytes| bytes.value().first().copied());
        let id = meta.get("owner")?.and_then(|bytes| bytes.value().try_into().ok()).map(NodeId);
        Ok(format.zip(id))
    };
    let what = "it is no memory of a node".to_string();
    let damaged = || SwarmError::Damaged { path: path.into(), what };
    match read() {
        Err(redb::Error::TableDoesNotExist(_)) | Ok(None) => Err(damaged()),
        Err(e) => Err(refused("open", path, &e)),
        Ok(Some((FORMAT, id))) if id == owner => Ok(()),
        Ok(Some((FORMAT, owner))) => Err(SwarmError::OtherOwner { path: path.into(), owner }),
        Ok(Some((format, _))) => {
            let reason = format!("it has format {format}, this program knows {FORMAT}");
            Err(SwarmError::Disk { action: "read", path: path.into(), reason })
        }
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default() // lists of known length into a Vec: there is no way to fail
}

fn digest(key: &[u8], body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    let hash = hasher.update(key).update(body).finalize();
    core::array::from_fn(|i| hash.as_bytes()[i])
}

pub(crate) fn seal(record: &Record) -> Vec<u8> {
    let body = encode(&(record.stamp, &record.value));
    let mut bytes = digest(&record.key, &body).to_vec();
    bytes.extend(body);
    bytes
}

pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Option<Record> {
    let (check, body) = bytes.split_first_chunk::<8>()?;
    if *check != digest(key, body) {
        return None;
    }
    let (stamp, value) = postcard::from_bytes(body).ok()?;
    Some(Record { key: key.into(), stamp, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::StorageBackend;
    use redb::backends::FileBackend;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A file on a disk that has only so much room.
    #[derive(Debug)]
    struct Small(FileBackend, Arc<AtomicU64>);

    impl StorageBackend for Small {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            if len > self.1.load(Ordering::Relaxed) && len > self.0.len()? {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn record(i: u64, bytes: usize) -> Record {
        let stamp = Stamp { ms: i, count: 0, node: NodeId([1; 32]) };
        Record { key: format!("key-{i}").into_bytes(), stamp, value: Some(alloc::vec![i as u8; bytes]) }
    }

    fn put(record: &Record) -> Batch {
        Batch { changes: [Change::Put(record.clone())].into(), clock: record.stamp, peers: None }
    }

    /// What was acknowledged survives a full disk, what was refused is not there, and the disk is used again once it has room.
    #[tokio::test]
    async fn a_full_disk_refuses_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.redb");
        let room = Arc::new(AtomicU64::new(3 << 20));
        let (file, limit) = (path.clone(), room.clone());
        let open = move || {
            let options = std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&file);
            let backend = Small(FileBackend::new(options.unwrap()).unwrap(), limit.clone());
            let opened = Database::builder().create_with_backend(backend);
            opened.map_err(|e| refused("open", &file, &e.into()))
        };
        let owner = NodeId([1; 32]);
        let mut open: Open = Box::new(open);
        claim(&open().unwrap(), owner).unwrap();
        let (disk, _) = Disk::open_with(path.clone(), owner, open).unwrap();
        let (mut kept, mut refusals) = (Vec::new(), 0);
        for i in 1..40 {
            let record = record(i, 200_000);
            match disk.commit(put(&record)).await {
                Ok(()) => kept.push(record),
                Err(SwarmError::Disk { .. }) => refusals += 1,
                Err(e) => panic!("{e}"),
            }
        }
        assert!(refusals > 0 && !kept.is_empty(), "{refusals} refused");
        disk.owe(put(&record(90, 400_000)));
        room.store(u64::MAX, Ordering::Relaxed);
        let last = record(99, 200_000);
        disk.commit(put(&last)).await.unwrap();
        kept.extend([record(90, 400_000), last]);
        disk.close().await.unwrap();
        let (_, loaded) = Disk::open(&path, owner).unwrap();
        kept.sort_by(|a, b| a.key.cmp(&b.key));
        assert!(loaded.records == kept);
        assert_eq!(loaded.clock.ms, 99);
    }

    /// Whatever byte is damaged: an error that says so, or the records as they were; no panic.
    #[tokio::test]
    async fn damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owner) = (folder.path().join("memory.redb"), NodeId([1; 32]));
        let (disk, _) = Disk::open(&path, owner).unwrap();
        let kept: Vec<Record> = (1..9).map(|i| record(i, 300)).collect();
        for record in &kept {
            disk.commit(put(record)).await.unwrap();
        }
        disk.close().await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        let (mut found, mut rng) = (0, mayfly_base::Rng::new(3));
        let value_at = whole.windows(300).position(|window| window.iter().all(|&byte| byte == 3)).unwrap();
        for at in core::iter::once(value_at).chain((0..40).map(|_| rng.below(whole.len() as u64) as usize)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, bytes).unwrap();
            match Disk::open(&path, owner) {
                Ok((disk, loaded)) => {
                    assert!(loaded.records == kept, "byte {at} changed what was kept");
                    disk.close().await.unwrap();
                }
                Err(_) => found += 1,
            }
        }
        assert!(found > 0);
        std::fs::write(&path, whole).unwrap();
        assert!(matches!(Disk::open(&path, NodeId([2; 32])), Err(SwarmError::OtherOwner { .. })));
        let (_disk, _) = Disk::open(&path, owner).unwrap();
        assert!(matches!(Disk::open(&path, owner), Err(SwarmError::InUse { .. })));
    }

    async fn reopened(path: &Path, owner: NodeId, disk: Disk) -> (Disk, Loaded) {
        disk.close().await.unwrap();
        Disk::open_existing(path, owner).unwrap()
    }

    /// Whatever order things come in: the newest version of a key is what is there, and what is forgotten is that version or nothing.
    #[tokio::test]
    async fn the_newest_version_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owner) = (folder.path().join("memory.redb"), NodeId([1; 32]));
        let version = |ms: u64, value: Option<&[u8]>| Record {
            key: b"key".into(),
            stamp: Stamp { ms, count: 0, node: owner },
            value: value.map(<[u8]>::to_vec),
        };
        let (mut disk, _) = Disk::open(&path, owner).unwrap();
        disk.commit(put(&version(5, Some(b"newer")))).await.unwrap();
        disk.commit(put(&version(4, Some(b"older")))).await.unwrap();
        disk.owe(put(&version(3, None)));
        let forget = |ms| Change::Forget { key: b"key".into(), stamp: version(ms, None).stamp };
        disk.owe(Batch { changes: [forget(4)].into(), ..Batch::default() });
        let loaded;
        (disk, loaded) = reopened(&path, owner, disk).await;
        assert_eq!(loaded.records, [version(5, Some(b"newer"))]);
        disk.owe(Batch { changes: [forget(5), Change::Put(version(4, Some(b"older")))].into(), ..Batch::default() });
        let (_, loaded) = reopened(&path, owner, disk).await;
        assert_eq!(loaded.records, [version(4, Some(b"older"))], "in the order in which it was said");
    }

    /// The clock survives commits that no record shows it in; so does what was seen, in its latest form, and what comes without either changes neither.
    #[tokio::test]
    async fn clock_and_context_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owner) = (folder.path().join("memory.redb"), NodeId([1; 32]));
        let at = |ms| Stamp { ms, count: 3, node: owner };
        let (mut disk, loaded) = Disk::open(&path, owner).unwrap();
        assert_eq!((loaded.clock, &loaded.context), (Stamp::default(), &Context::default()));
        let forget = Change::Forget { key: b"key".into(), stamp: at(1) };
        disk.commit(Batch { changes: [forget.clone()].into(), clock: at(50), peers: None }).await.unwrap();
        let mut loaded;
        (disk, loaded) = reopened(&path, owner, disk).await;
        assert_eq!(loaded.clock, at(50), "a commit of deletions alone");
        let mut early = Context::default();
        early.add(at(7));
        let mut late = early.clone();
        late.add(at(8));
        let seen = |context: &Context| Change::Seen(Box::new(context.clone()));
        disk.owe(Batch { changes: [seen(&early), forget.clone(), seen(&late)].into(), clock: at(40), peers: None });
        (disk, loaded) = reopened(&path, owner, disk).await;
        assert_eq!((loaded.clock, &loaded.context), (at(50), &late));
        disk.commit(Batch { changes: [forget].into(), clock: at(60), peers: None }).await.unwrap();
        (_, loaded) = reopened(&path, owner, disk).await;
        assert_eq!((loaded.clock, &loaded.context), (at(60), &late));
    }

    /// A file that was there and is not, or is empty, or is something else, is never begun anew.
    #[tokio::test]
    async fn the_loss_of_the_file_is_no_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owner) = (folder.path().join("memory.redb"), NodeId([1; 32]));
        let lost = |result: Result<(Disk, Loaded)>| match result {
            Err(SwarmError::Lost { state, .. }) => state,
            other => panic!("{:?}", other.map(|(_, loaded)| loaded)),
        };
        assert_eq!(lost(Disk::open_existing(&path, owner)), "missing");
        assert!(!path.exists());
        std::fs::write(folder.path().join("memory.redb.new"), b"of a start that was killed").unwrap();
        let (disk, _) = Disk::open(&path, owner).unwrap();
        disk.commit(put(&record(1, 10))).await.unwrap();
        disk.close().await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(lost(Disk::open(&path, owner)), "empty");
        assert_eq!(lost(Disk::open_existing(&path, owner)), "empty");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "it is left as it is");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lost(Disk::open_existing(&path, owner)), "missing");
        drop(Database::create(&path).unwrap());
        assert!(matches!(Disk::open(&path, owner), Err(SwarmError::Damaged { .. })), "a database of something else");
    }
}
