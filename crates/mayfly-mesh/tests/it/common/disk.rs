//! A disk in memory that loses what was not flushed, tears what was, and fails when told to.

use mayfly_base::Rng;
use mayfly_mesh::{LogDisk, MeshError, Owner, SlotFile, Store, modules};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The unit that a disk writes whole.
const SECTOR: usize = 512;
/// The file of the database; the others are slots of a log.
const DATABASE: u32 = u32::MAX;

#[derive(Clone, Debug, Default)]
struct Content {
    /// What reads see.
    seen: Vec<u8>,
    /// What was flushed.
    kept: Vec<u8>,
    /// Writes since the last flush.
    owed: Vec<(usize, Vec<u8>)>,
}

impl Content {
    /// Reads see what is on the disk, and what is still to be written.
    fn forget(&mut self) {
        self.seen = self.kept.clone();
        for (place, bytes) in &self.owed {
            let end = (place + bytes.len()).min(self.seen.len());
            if let Some(there) = self.seen.get_mut(*place..end) {
                there.copy_from_slice(&bytes[..end - place]);
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u32, Content>,
    flushes: u64,
    writes: u64,
    /// Writes and flushes until the power goes.
    until_dark: Option<u64>,
    fail_flush: bool,
    /// What it says of its room; at 0, no file grows.
    free: Option<u64>,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// A file of a disk.
#[derive(Debug)]
struct OnDisk(Disk, u32);

impl Disk {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().expect("no panic"))
    }

    /// The file of the database.
    pub fn database(&self) -> impl StorageBackend {
        self.with(|state| {
            state.files.entry(DATABASE).or_default();
        });
        OnDisk(self.clone(), DATABASE)
    }

    /// A node on this disk.
    pub fn store(&self, owner: Owner) -> Result<Store, MeshError> {
        Store::on_backend(self.database(), Arc::new(self.clone()), owner, modules())
    }

    /// Every flush from now on fails once, and then succeeds again: as Linux does.
    pub fn fail_next_flush(&self) {
        self.with(|state| state.fail_flush = true);
    }

    pub fn set_free(&self, bytes: u64) {
        self.with(|state| state.free = Some(bytes));
    }

    pub fn go_dark_after(&self, steps: u64) {
        self.with(|state| state.until_dark = Some(steps));
    }

    /// Do reads see what will be on the disk?
    #[allow(dead_code, reason = "not every test has flushes that fail")]
    pub fn is_honest(&self) -> bool {
        self.with(|state| {
            state.files.values().all(|content| {
                let mut forgotten = content.clone();
                forgotten.forget();
                forgotten.seen == content.seen
            })
        })
    }

    pub fn flushes(&self) -> u64 {
        self.with(|state| state.flushes)
    }

    pub fn writes(&self) -> u64 {
        self.with(|state| state.writes)
    }

    /// What is there when the power is back: of the writes since the last flush, any, and parts of them. Which ones, depends on their places
    /// and not on their order, which is redb's business.
    pub fn after_power_loss(&self, rng: &mut Rng) -> Self {
        let seed = rng.next_u64();
        let lose = |(file, content): (&u32, &Content)| (*file, after_power_loss(content, seed ^ u64::from(*file)));
        Self::with_files(self.with(|state| state.files.iter().map(lose).collect()))
    }

    /// What is there when only the process was killed: everything that was written, in the system's memory as before.
    pub fn after_kill(&self) -> Self {
        Self::with_files(self.with(|state| state.files.clone()))
    }

    #[allow(dead_code, reason = "not every test has a log")]
    pub fn slot_count(&self) -> usize {
        self.with(|state| state.files.keys().filter(|file| **file != DATABASE).count())
    }

    /// Changes a byte of a slot behind everyone's back.
    #[allow(dead_code, reason = "not every test has a log")]
    pub fn flip(&self, slot: u32, place: usize) {
        self.with(|state| {
            let content = state.files.get_mut(&slot).expect("a slot");
            content.seen[place] ^= 1;
            content.kept[place] ^= 1;
        });
    }

    fn with_files(files: BTreeMap<u32, Content>) -> Self {
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// From now on nothing is written any more: the process that wrote is gone.
    pub fn go_dark(&self) {
        self.go_dark_after(0);
    }
}

fn after_power_loss(content: &Content, seed: u64) -> Content {
    let mut kept = content.kept.clone();
    for (place, bytes) in &content.owed {
        let sectors = bytes.len().div_ceil(SECTOR);
        for sector in 0..sectors {
            let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(bytes.len()));
            let is_kept = Rng::new(seed ^ (place + from) as u64).below(2) == 0;
            if is_kept && place + to <= kept.len() {
                kept[place + from..place + to].copy_from_slice(&bytes[from..to]);
            }
        }
    }
    Content { seen: kept.clone(), kept, owed: Vec::new() }
}

fn grow(state: &State) -> io::Result<()> {
    match state.free {
        Some(0) => Err(io::Error::new(io::ErrorKind::StorageFull, "no room is left")),
        _ => Ok(()),
    }
}

fn step(state: &mut State) -> io::Result<()> {
    match &mut state.until_dark {
        Some(0) => Err(io::Error::other("the power is gone")),
        Some(steps) => {
            *steps -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl State {
    fn file(&mut self, file: u32) -> io::Result<&mut Content> {
        self.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl LogDisk for Disk {
    /// Small, so that there are many of them.
    fn slot_bytes(&self) -> u64 {
        16 << 10
    }

    fn slots(&self) -> io::Result<Vec<u32>> {
        Ok(self.with(|state| state.files.keys().copied().filter(|file| *file != DATABASE).collect()))
    }

    fn open(&self, slot: u32) -> io::Result<SlotFile> {
        self.with(|state| state.file(slot).map(drop))?;
        Ok(Box::new(OnDisk(self.clone(), slot)))
    }

    fn make(&self, slot: u32, bytes: u64) -> io::Result<SlotFile> {
        self.with(|state| {
            step(state)?;
            grow(state)?;
            let zeros = vec![0; bytes as usize];
            let there = state.files.insert(slot, Content { seen: zeros.clone(), kept: zeros, owed: Vec::new() });
            assert!(there.is_none(), "slot {slot} is there already");
            Ok::<_, io::Error>(())
        })?;
        self.open(slot)
    }

    fn remove(&self, slot: u32) -> io::Result<()> {
        self.with(|state| {
            step(state)?;
            state.files.remove(&slot);
            Ok(())
        })
    }

    fn forget_cached(&self) {
        self.with(|state| state.files.values_mut().for_each(Content::forget));
    }

    fn free_bytes(&self) -> Option<u64> {
        self.with(|state| state.free)
    }

    fn path(&self, slot: u32) -> PathBuf {
        format!("(slot {slot} in memory)").into()
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.with(|state| Ok(state.file(self.1)?.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.with(|state| {
            let bytes = state.file(self.1)?.seen.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// Lengths are kept at once: what matters here is what is in the file.
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.with(|state| {
            step(state)?;
            if len as usize > state.file(self.1)?.seen.len() {
                grow(state)?;
            }
            let content = state.file(self.1)?;
            content.seen.resize(len as usize, 0);
            content.kept.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.with(|state| {
            step(state)?;
            state.flushes += 1;
            let fails = std::mem::take(&mut state.fail_flush);
            let content = state.file(self.1)?;
            if fails {
                content.owed.clear(); // dropped, and the next flush will not say so
                return Err(io::Error::other("the disk refused to flush"));
            }
            for (place, bytes) in std::mem::take(&mut content.owed) {
                let end = (place + bytes.len()).min(content.kept.len());
                if let Some(there) = content.kept.get_mut(place..end) {
                    there.copy_from_slice(&bytes[..end - place]);
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.with(|state| {
            step(state)?;
            state.writes += 1;
            let place = offset as usize;
            let content = state.file(self.1)?;
            let bytes = content.seen.get_mut(place..place + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(data);
            content.owed.push((place, data.to_vec()));
            Ok(())
        })
    }
}
