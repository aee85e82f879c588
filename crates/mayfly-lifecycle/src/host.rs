//! What instances live on: memory, plans, a clock, and the thread that wipes in time.
use crate::body::Body;
use crate::entry::Entry;
use crate::error::{LifeError, Limit, Result};
use crate::host_config::{HostConfig, HostParts, Reaping};
use crate::id::{Born, InstanceId};
use crate::keeper::{self, Alarm};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::life::{Birth, Means, Occupant};
use crate::plans::{Kit, PlanPool};
use crate::seal::Seals;
use crate::state::{Reason, State};
use crate::term::Term;
use mayfly_vault::{Protection, Slot, Stats, Vault, VaultError, clean_stack};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The memory, the plans and the leases of any number of instances. Clones share it.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

/// What clones of a host share.
pub(crate) struct Inner {
    config: HostConfig,
    parts: HostParts,
    vault: Vault,
    pub(crate) plans: PlanPool,
    ledger: Ledger,
    seals: Option<Seals>,
    /// Every entry that was ever made; those in `free` are nobody's.
    entries: RwLock<Vec<Arc<Entry>>>,
    free: Mutex<Vec<Arc<Entry>>>,
    live: AtomicUsize,
    closed: AtomicBool,
    alarm: Arc<Alarm>,
}

/// How a host is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Instances that have an owner, whether their lease is over or not.
    pub instances: usize,
    /// Lives that ended, by reason.
    pub ends: [(Reason, u64); Reason::ALL.len()],
    /// Plans that are kept, and their bytes.
    pub plans: (usize, usize),
    /// The memory.
    pub vault: Stats,
}

/// An instance, as a host sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub id: InstanceId,
    /// Where it is in its life.
    pub state: State,
    /// Its lease.
    pub term: Term,
    /// What protects its pages.
    pub protection: Option<Protection>,
}

impl Host {
    /// A host with the boot clock.
    ///
    /// # Errors
    /// A strict vault on a system that does not protect memory, a folder of sealed instances that is another host's, and a thread that cannot be started.
    pub fn start(config: HostConfig) -> Result<Host> {
        Self::start_with(config, HostParts::default())
    }

    /// A host with a clock and a witness of the caller's.
    ///
    /// # Errors
    /// As for [`Host::start`].
    pub fn start_with(config: HostConfig, parts: HostParts) -> Result<Host> {
        let vault = Vault::open(config.vault).map_err(LifeError::Vault)?;
        let inner = Arc::new(Inner {
            vault,
            plans: PlanPool::new(config.plan_bytes),
            seals: parts.seals.as_deref().map(Seals::open).transpose()?,
            ledger: Ledger::new(config.node, Arc::clone(&parts.witness)),
            entries: RwLock::default(),
            free: Mutex::default(),
            live: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            alarm: Arc::default(),
            config,
            parts,
        });
        if config.reaping == Reaping::Thread {
            let weak = Arc::downgrade(&inner);
            let clock = Arc::clone(&inner.parts.clock);
            keeper::start(Arc::clone(&inner.alarm), clock, move || weak.upgrade().map(|inner| inner.reap()))?;
        }
        Ok(Host(inner))
    }

    /// The host that a process has without asking, by the defaults of [`HostConfig`].
    ///
    /// # Errors
    /// As for [`Host::start`].
    pub fn shared() -> Result<Host> {
        static SHARED: OnceLock<Host> = OnceLock::new();
        if let Some(host) = SHARED.get() {
            return Ok(host.clone());
        }
        let host = Host::start(HostConfig::default())?;
        Ok(SHARED.get_or_init(|| host).clone())
    }

    /// Ends every lease that is over, and says when the next one is at the latest, if one is. The host's thread does this.
    pub fn reap(&self) -> Option<u64> {
        Some(self.0.reap()).filter(|due_ns| *due_ns < u64::MAX)
    }

    /// Dissolves every instance and takes no more. Afterwards nothing of any of them is in memory.
    pub fn shutdown(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.iter() {
            entry.dissolve(self.0.means(), Reason::Shutdown);
        }
        self.0.plans.release_waiting();
    }

    /// What the system gives to pages here, asked of one that is made for it. What is missing ought to be said to the user, with its remedy.
    ///
    /// # Errors
    /// No page at all.
    pub fn protection(&self) -> Result<Protection> {
        self.0.vault.probe().map_err(LifeError::Vault)
    }

    /// The instances that live or are sealed.
    pub fn instances(&self) -> Vec<Listed> {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        let listed = entries.iter().map(|entry| {
            let (state, id, term, protection) = entry.look();
            Listed { id, state, term, protection }
        });
        listed.filter(|listed| matches!(listed.state, State::Live | State::Sealed)).collect()
    }

    /// How it is doing.
    pub fn figures(&self) -> Figures {
        Figures {
            instances: self.0.live.load(Ordering::Relaxed),
            ends: self.0.ledger.ends(),
            plans: self.0.plans.size(),
            vault: self.0.vault.stats(),
        }
    }

    /// How it was started.
    pub fn config(&self) -> HostConfig {
        self.0.config
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host with {:?}", self.figures())
    }
}

/// Counts an instance for as long as its owner has it; also where its birth fails.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    pub(crate) fn means(&self) -> Means<'_> {
        Means { ledger: &self.ledger, clock: &*self.parts.clock }
    }

    /// An instance with a copy of `params`. Nothing is allocated where a body and an entry wait.
    pub(crate) fn spawn(&self, kit: &Arc<Kit>, params: &[f32], task: [u8; 32], lease: &Lease) -> Result<Arc<Entry>> {
        lease.check()?;
        let place = self.place()?;
        let mut body = self.body(kit)?;
        let born = body.fill(params).and_then(|()| Born::draw());
        clean_stack(); // of what packing spilled
        let occupant = Occupant { kit: Arc::clone(kit), body };
        let born = match born {
            Ok(born) => born,
            Err(error) => {
                occupant.leave();
                return Err(error);
            }
        };
        let entry = self.entry();
        let term = Term::begin(lease, self.parts.clock.now_ns());
        entry.begin(Birth::new(born, task, lease, unix_ms()), term, occupant);
        self.alarm.set(term.due_ns());
        std::mem::forget(place); // from here on it is the entry's, and `retire` takes it back
        if self.closed.load(Ordering::SeqCst) {
            self.retire(entry, Reason::Shutdown);
            return Err(LifeError::Closed);
        }
        Ok(entry)
    }

    /// The owner is gone: the life ends, if it has not, and the entry is free for the next.
    pub(crate) fn retire(&self, entry: Arc<Entry>, why: Reason) {
        entry.dissolve(self.means(), why);
        self.free().push(entry);
        drop(Place(&self.live));
    }

    pub(crate) fn renew(&self, entry: &Entry, lease: &Lease) -> Result<()> {
        self.alarm.set(entry.renew(self.means(), lease)?);
        Ok(())
    }

    pub(crate) fn seal(&self, entry: &Entry) -> Result<()> {
        let seals = self.seals.as_ref().ok_or(LifeError::NoSealFolder)?;
        entry.seal(self.means(), seals, &self.vault)
    }

    pub(crate) fn unseal(&self, entry: &Entry) -> Result<()> {
        let kit = entry.sealed_kit(self.means())?;
        let body = self.body(&kit)?;
        entry.unseal(self.means(), body)
    }

    /// Ends what is over; `u64::MAX` where nothing has an end.
    fn reap(&self) -> u64 {
        let now_ns = self.parts.clock.now_ns();
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.iter().filter(|entry| entry.due_ns() <= now_ns) {
            entry.reap(self.means());
        }
        entries.iter().map(|entry| entry.due_ns()).min().unwrap_or(u64::MAX)
    }

    fn place(&self) -> Result<Place<'_>> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LifeError::Closed);
        }
        let most = self.config.instances;
        let more = |live: usize| (live < most).then_some(live + 1);
        match self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place(&self.live)),
            Err(_) => Err(LifeError::Refused { limit: Limit::Instances(most) }),
        }
    }

    /// A body of the kit that waits, or a new one.
    fn body(&self, kit: &Arc<Kit>) -> Result<Body> {
        if let Some(body) = kit.take() {
            return Ok(body);
        }
        let body = Body::new(&kit.plan, self.slot(kit.slot_bytes)?)?;
        kit.count_one();
        Ok(body)
    }

    /// A slot; where there is none, bodies that wait give way.
    pub(crate) fn slot(&self, bytes: usize) -> Result<Slot> {
        let slot = match self.vault.slot(bytes) {
            Err(VaultError::Full { .. }) if self.plans.release_waiting() > 0 => self.vault.slot(bytes),
            other => other,
        };
        slot.map_err(|error| self.no_slot(error))
    }

    fn no_slot(&self, error: VaultError) -> LifeError {
        let VaultError::Full { wanted, used, limit } = error else { return LifeError::Vault(error) };
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let due_ns = entries.iter().map(|entry| entry.due_ns()).min().filter(|due_ns| *due_ns < u64::MAX);
        let wait = |due_ns: u64| Duration::from_nanos(due_ns.saturating_sub(self.parts.clock.now_ns()));
        LifeError::Busy { wanted, used, limit, wait_for: due_ns.map(wait) }
    }

    /// An entry that is nobody's.
    fn entry(&self) -> Arc<Entry> {
        if let Some(entry) = self.free().pop() {
            return entry;
        }
        let entry = Arc::new(Entry::default());
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.push(Arc::clone(&entry));
        // So that giving them back allocates nothing.
        let (all, mut free) = (entries.len(), self.free());
        let room = all.saturating_sub(free.len());
        free.reserve(room);
        entry
    }

    fn free(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.alarm.stop();
    }
}

/// Milliseconds since 1970 by the wall clock; 0 before that.
fn unix_ms() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
