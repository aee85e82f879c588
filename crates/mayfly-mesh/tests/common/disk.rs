//! A disk in memory that loses what was not flushed, tears what was, and fails when told to.

use mayfly_base::Rng;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

/// The unit that a disk writes whole.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct State {
    /// What reads see.
    seen: Vec<u8>,
    /// What was flushed.
    kept: Vec<u8>,
    /// Writes since the last flush.
    owed: Vec<(usize, Vec<u8>)>,
    flushes: u64,
    writes: u64,
    /// Writes and flushes until the power goes.
    until_dark: Option<u64>,
    fail_flush: bool,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().expect("no panic"))
    }

    /// Every flush from now on fails once, and then succeeds again: as Linux does.
    pub fn fail_next_flush(&self) {
        self.with(|state| state.fail_flush = true);
    }

    pub fn go_dark_after(&self, steps: u64) {
        self.with(|state| state.until_dark = Some(steps));
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
        let kept = self.with(|state| {
            let mut kept = state.kept.clone();
            for (place, bytes) in &state.owed {
                let sectors = bytes.len().div_ceil(SECTOR);
                for sector in 0..sectors {
                    let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(bytes.len()));
                    let is_kept = Rng::new(seed ^ (place + from) as u64).below(2) == 0;
                    if is_kept && place + to <= kept.len() {
                        kept[place + from..place + to].copy_from_slice(&bytes[from..to]);
                    }
                }
            }
            kept
        });
        Self::with_bytes(kept)
    }

    /// What is there when only the process was killed: everything that was written.
    pub fn after_kill(&self) -> Self {
        Self::with_bytes(self.with(|state| state.seen.clone()))
    }

    fn with_bytes(kept: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { seen: kept.clone(), kept, ..State::default() })))
    }

    /// From now on nothing is written any more: the process that wrote is gone.
    pub fn go_dark(&self) {
        self.go_dark_after(0);
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

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|state| state.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            let bytes = state.seen.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// Lengths are kept at once: what matters here is what is in the file.
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            step(state)?;
            state.seen.resize(len as usize, 0);
            state.kept.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            step(state)?;
            state.flushes += 1;
            if std::mem::take(&mut state.fail_flush) {
                state.owed.clear(); // dropped, and the next flush will not say so
                return Err(io::Error::other("the disk refused to flush"));
            }
            for (place, bytes) in std::mem::take(&mut state.owed) {
                let end = (place + bytes.len()).min(state.kept.len());
                if let Some(there) = state.kept.get_mut(place..end) {
                    there.copy_from_slice(&bytes[..end - place]);
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|state| {
            step(state)?;
            state.writes += 1;
            let place = offset as usize;
            let bytes = state.seen.get_mut(place..place + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(data);
            state.owed.push((place, data.to_vec()));
            Ok(())
        })
    }
}
