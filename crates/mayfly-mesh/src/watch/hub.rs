//! The one who reads what is new and wakes those whom it concerns.

use super::index::{Index, Keys};
use crate::error::{MeshError, Result};
use crate::kv::{self, Clock};
use crate::store::Store;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Changes, and bytes of them, that are looked at before others get their turn at the lock.
const PIECE: usize = 1_000;
const PIECE_BYTES: usize = 4 << 20;
/// A watcher for whom there is nothing.
const NOTHING: i64 = i64::MAX;

/// All watchers of a node. Each is woken for changes of its own keys alone, and reads them from history itself: what waits for a slow one is a number.
#[derive(Debug)]
pub struct Hub {
    inner: Mutex<Inner>,
    /// Up to where changes were looked at; moved under the lock, once whom they concern has been noted.
    revision: AtomicI64,
    compacted: watch::Sender<i64>,
    end: watch::Sender<Option<MeshError>>,
}

#[derive(Debug)]
struct Inner {
    index: Index<Arc<Interest>>,
}

/// What a watcher waits for.
#[derive(Debug)]
pub(super) struct Interest {
    /// The first change that it has not been told.
    pending: AtomicI64,
    /// Earlier ones are not its business.
    from: i64,
    skips_puts: bool,
    skips_deletes: bool,
    wake: Arc<Notify>,
}

impl Interest {
    fn note(&self, revision: i64) {
        if revision >= self.from {
            self.pending.fetch_min(revision, Ordering::AcqRel);
            self.wake.notify_one();
        }
    }

    /// Is this kind of change wanted?
    pub(super) fn wants(&self, is_delete: bool) -> bool {
        if is_delete { !self.skips_deletes } else { !self.skips_puts }
    }

    /// Puts back what could not be told yet.
    pub(super) fn put_back(&self, revision: i64) {
        self.note(revision);
    }

    /// The first change that was not told; it counts as told from now on.
    pub(super) fn take(&self) -> Option<i64> {
        Some(self.pending.swap(NOTHING, Ordering::AcqRel)).filter(|revision| *revision != NOTHING)
    }

    /// The first change that was not told.
    pub(super) fn pending(&self) -> Option<i64> {
        Some(self.pending.load(Ordering::Acquire)).filter(|revision| *revision != NOTHING)
    }
}

/// A watcher's place at the hub, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    hub: Arc<Hub>,
    pub(super) keys: Keys,
    number: u64,
    pub(super) interest: Arc<Interest>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.lock().index.remove(&self.keys, self.number);
    }
}

/// Which changes are not wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filters {
    pub(super) puts: bool,
    pub(super) deletes: bool,
}

impl Hub {
    /// One that begins at the store's state.
    ///
    /// # Errors
    /// Those of reading.
    pub fn new(store: &Store) -> Result<Arc<Self>> {
        let Clock { revision, compacted } = store.read(kv::clock)?;
        let (inner, revision) = (Mutex::new(Inner { index: Index::default() }), AtomicI64::new(revision));
        Ok(Arc::new(Self { inner, revision, compacted: watch::Sender::new(compacted), end: watch::Sender::new(None) }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner) // nothing in it is changed in steps
    }

    /// Looks at what the store has that is new, and wakes whom it concerns.
    ///
    /// # Errors
    /// Those of reading.
    pub fn advance(&self, store: &Store) -> Result<()> {
        loop {
            let inner = self.lock();
            let known = self.revision();
            let (seen, clock) = store.read(|transaction| {
                let clock = kv::clock(transaction)?;
                let (mut seen, mut count, mut bytes) = (known, 0, 0);
                if known + 1 < clock.compacted {
                    // Whom it concerned what is gone, nobody can tell: they all find out when they read.
                    inner.index.all().for_each(|one| one.note(one.from.max(known + 1)));
                }
                let mut is_cut = false;
                if clock.revision > known {
                    kv::changes(transaction, known + 1, &mut |change| {
                        // A revision is looked at as a whole.
                        if (count >= PIECE || bytes >= PIECE_BYTES) && change.mod_revision > seen {
                            is_cut = true;
                            return false;
                        }
                        (seen, count, bytes) = (change.mod_revision, count + 1, bytes + change.value.len());
                        let about = inner.index.about(&change.key);
                        about.filter(|one| one.wants(change.version == 0)).for_each(|one| one.note(seen));
                        true
                    })?;
                }
                // The newest revisions may have been compacted away.
                Ok((if is_cut { seen } else { clock.revision }, clock))
            })?;
            let seen = seen.max(known);
            self.revision.store(seen, Ordering::Release);
            self.compacted.send_if_modified(|compacted| {
                let is_newer = clock.compacted > *compacted;
                *compacted = clock.compacted.max(*compacted);
                is_newer
            });
            drop(inner);
            if seen >= clock.revision {
                return Ok(());
            }
            std::thread::yield_now();
        }
    }

    /// The revision up to which every watcher has been told what concerns it, or has it pending.
    pub fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    /// How many watchers there are.
    pub fn watchers(&self) -> usize {
        self.lock().index.len()
    }

    /// A watcher of these keys from a revision on, 0 for what comes from now on: its place, the revision it begins at, and the one that now is.
    pub(super) fn join(
        self: &Arc<Self>,
        keys: Keys,
        start: i64,
        skips: Filters,
        wake: Arc<Notify>,
    ) -> (Place, [i64; 2]) {
        let mut inner = self.lock();
        let revision = self.revision();
        let from = if start == 0 { revision + 1 } else { start };
        // What is there already is read at once.
        let pending = AtomicI64::new(if from <= revision { from } else { NOTHING });
        if from <= revision {
            wake.notify_one();
        }
        let (skips_puts, skips_deletes) = (skips.puts, skips.deletes);
        let interest = Arc::new(Interest { pending, from, skips_puts, skips_deletes, wake });
        let number = inner.index.add(&keys, interest.clone());
        drop(inner);
        (Place { hub: self.clone(), keys, number, interest }, [from, revision])
    }

    /// Told of every compaction.
    pub fn compactions(&self) -> watch::Receiver<i64> {
        self.compacted.subscribe()
    }

    /// Ends all watching, with the reason.
    pub fn end(&self, reason: MeshError) {
        self.end.send_replace(Some(reason));
    }

    /// Returns when watching ends, with the reason.
    pub(crate) async fn ended(&self) -> MeshError {
        let mut end = self.end.subscribe();
        let reason = end.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() })
    }
}
