//! A pack in a running process: swapped without a pause, watched after an upgrade, rolled back by itself when it fails.

use crate::engine::Engine;
use crate::error::{PackError, Result};
use crate::files::PackFiles;
use crate::pack::Pack;
use crate::store::Store;
use crate::verify::Policy;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

/// When a watched pack counts as failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthPolicy {
    /// Fewer calls than this say nothing.
    pub min_calls: u64,
    /// Failed calls over all calls, in percent, above which the pack goes.
    pub max_failure_percent: f64,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { min_calls: 10, max_failure_percent: 5.0 }
    }
}

/// What [`Host::watch`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// Nothing to do.
    Unchanged,
    /// The pack passed its watch.
    Settled,
    /// It failed and the previous one is back.
    RolledBack {
        /// Calls that it had.
        calls: u64,
        /// How many of them failed.
        failures: u64,
    },
}

/// A generation and its pack: the tag keeps a rollback from bringing back another one than the store means.
struct Slot {
    generation: u64,
    pack: Arc<Pack>,
}

/// One pack by name, live.
pub struct Host {
    name: String,
    engine: Arc<dyn Engine>,
    health: HealthPolicy,
    active: ArcSwap<Slot>,
    /// The store and the compiled previous pack: changes happen one at a time.
    inside: Mutex<Inside>,
}

struct Inside {
    store: Store,
    previous: Option<Slot>,
}

impl Host {
    /// Loads the active pack of a store.
    ///
    /// # Errors
    /// [`PackError::NotInstalled`], or as [`Store::load`].
    pub fn open(
        store: Store,
        name: &str,
        engine: Arc<dyn Engine>,
        health: HealthPolicy,
        policy: &Policy,
    ) -> Result<Self> {
        let active = store.state().active(name).ok_or_else(|| PackError::NotInstalled { name: name.to_owned() })?;
        let generation = active.generation;
        let pack = Arc::new(store.load(name, generation, policy, &*engine)?);
        let active = ArcSwap::from_pointee(Slot { generation, pack });
        let inside = Mutex::new(Inside { store, previous: None });
        Ok(Self { name: name.to_owned(), engine, health, active, inside })
    }

    /// The pack to call. It stays what it is while the caller holds it, whatever happens meanwhile.
    pub fn pack(&self) -> Arc<Pack> {
        self.active.load().pack.clone()
    }

    /// The generation in use.
    pub fn generation(&self) -> u64 {
        self.active.load().generation
    }

    /// Upgrades to a pack of the same name. Calls in flight end on the old one.
    ///
    /// # Errors
    /// As [`Store::activate`]; the old pack stays in use.
    pub fn upgrade(&self, files: &PackFiles, policy: &Policy) -> Result<u64> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let named = inside.store.verify(files, policy)?;
        if named.manifest().name != self.name {
            let what = format!("expected `{}`, found `{}`", self.name, named.manifest().name);
            return Err(PackError::schema("/name", what));
        }
        let pack = Arc::new(inside.store.activate(files, policy, &*self.engine, &mut ())?);
        let generation = inside.store.state().active(&self.name).map_or(0, |active| active.generation);
        let old = self.active.swap(Arc::new(Slot { generation, pack }));
        let target = inside.store.state().previous(&self.name).map(|previous| previous.generation);
        if target == Some(old.generation) {
            inside.previous = Some(Slot { generation: old.generation, pack: old.pack.clone() });
        }
        Ok(generation)
    }

    /// Goes back to the previous pack.
    ///
    /// # Errors
    /// [`PackError::NoPreviousPack`], or as [`Store::load`] when it has to be compiled anew.
    pub fn rollback(&self, policy: &Policy) -> Result<u64> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        self.rollback_inside(&mut inside, policy)
    }

    /// Looks at the counters of a watched pack, and at the time.
    ///
    /// # Errors
    /// As [`Host::rollback`], or [`PackError::Io`].
    pub fn watch(&self, policy: &Policy) -> Result<WatchEvent> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let until = inside.store.state().active(&self.name).and_then(|active| active.watched_until);
        let Some(until) = until else {
            inside.store.expire(policy.now, &mut ())?;
            if inside.store.state().previous(&self.name).is_none() {
                inside.previous = None;
            }
            return Ok(WatchEvent::Unchanged);
        };
        let (calls, failures) = self.pack().metrics().totals();
        if calls >= self.health.min_calls && failures as f64 * 100.0 > self.health.max_failure_percent * calls as f64 {
            self.rollback_inside(&mut inside, policy)?;
            return Ok(WatchEvent::RolledBack { calls, failures });
        }
        if policy.now < until {
            return Ok(WatchEvent::Unchanged);
        }
        inside.store.settle(&self.name, &mut ())?;
        Ok(WatchEvent::Settled)
    }

    fn rollback_inside(&self, inside: &mut Inside, policy: &Policy) -> Result<u64> {
        let target = inside.store.state().previous(&self.name).map(|previous| previous.generation);
        let target = target.ok_or_else(|| PackError::NoPreviousPack { name: self.name.clone() })?;
        // Compiled before the state is changed: a pack that can no longer be loaded is no rollback.
        let pack = match inside.previous.take().filter(|slot| slot.generation == target) {
            Some(slot) => slot.pack,
            None => Arc::new(inside.store.load(&self.name, target, policy, &*self.engine)?),
        };
        let generation = inside.store.rollback(&self.name, &mut ())?;
        self.active.store(Arc::new(Slot { generation, pack }));
        Ok(generation)
    }
}
