//! Packs on disk. Every change is one rename: of a new generation into its place, then of `state.json`. `store.json` marks the
//! folder as a store and keeps counters and revocations once more, so that losing one file loses none of them.

mod folder;
mod generation;
mod ledger;
mod notice;
mod state;
mod view;

pub use notice::StoreNotice;
pub use state::{ActivePack, PreviousPack, RolledBack, StoreState};
pub use view::StoreView;

use crate::engine::{ArtefactCache, Engine};
use crate::error::{PackError, Result, check_limit};
use crate::files::{PackFiles, is_temporary, write_atomic};
use crate::limits::{STORE_BYTES, TRUST_BYTES};
use crate::pack::Pack;
use crate::trust::TrustedKeys;
use crate::verify::{Policy, VerifiedPack, verify};
use folder::{CACHE_FOLDER, DAMAGED_STATE_FILE, MARKER_FILE, PACKS_FOLDER, STATE_FILE, TRUST_FILE};
use ledger::Ledger;
use state::Activation;
use std::fs::File;
use std::path::{Path, PathBuf};

const STATE_VERSION: u32 = 2;

/// How upgrades are watched and how long the old pack is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// Seconds that the previous pack is kept for a rollback.
    pub grace_s: u64,
    /// Seconds that a new pack is watched.
    pub watch_s: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { grace_s: 300, watch_s: 60 }
    }
}

/// Called between the steps of a change; an error stops there, as a crash would. `()` does nothing.
pub trait Steps {
    /// The step that comes next.
    ///
    /// # Errors
    /// Whatever is to stop the change.
    fn before(&mut self, step: &'static str) -> Result<()>;
}

impl Steps for () {
    fn before(&mut self, _step: &'static str) -> Result<()> {
        Ok(())
    }
}

/// A folder of packs, held by one process at a time.
pub struct Store {
    view: StoreView,
    options: StoreOptions,
    _lock: File,
}

impl Store {
    /// Opens the store in a folder, which is made when missing, and clears away what a crash has left. A folder that holds
    /// something and is no store is not touched.
    ///
    /// # Errors
    /// [`PackError::NotAStore`], [`PackError::StoreBusy`], [`PackError::StoreCorrupt`] or [`PackError::Io`].
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self> {
        StoreView::read(folder)?; // refused before anything is made
        std::fs::create_dir_all(folder).map_err(PackError::io(folder))?;
        let lock = folder::lock(folder)?;
        let mut store = Self { view: StoreView::read(folder)?, options, _lock: lock };
        let had_marker = folder.join(MARKER_FILE).exists();
        store.mend(had_marker)?;
        Ok(store)
    }

    /// Brings the files into step with each other, and removes what crashes have left.
    fn mend(&mut self, had_marker: bool) -> Result<()> {
        let (state_path, damaged) = (self.path(STATE_FILE), self.path(DAMAGED_STATE_FILE));
        if self.view.rebuilt {
            if state_path.exists() {
                std::fs::rename(&state_path, &damaged).map_err(PackError::io(&state_path))?;
            }
            self.write_state(&self.view.state.clone())?;
        }
        if self.path(TRUST_FILE).exists() {
            let trust = self.view.trust()?;
            self.write_ledger(had_marker, |ledger| ledger.remember(&trust))?;
        } else {
            self.write_ledger(had_marker, |_| {})?;
        }
        let packs = self.path(PACKS_FOLDER);
        std::fs::create_dir_all(&packs).map_err(PackError::io(&packs))?;
        for (name, number) in self.view.state.needed() {
            generation::adopt(&packs, &name, number)?;
        }
        self.remove_temporaries(&packs)?;
        self.sweep()
    }

    /// What is installed.
    pub fn state(&self) -> &StoreState {
        &self.view.state
    }

    /// What was lost and made good when the store was opened.
    pub fn notices(&self) -> &[StoreNotice] {
        &self.view.notices
    }

    /// The cache of compiled modules that belongs to the store.
    ///
    /// # Errors
    /// As [`ArtefactCache::open`].
    pub fn cache(&self) -> Result<ArtefactCache> {
        ArtefactCache::open(&self.path(CACHE_FOLDER))
    }

    /// Whom the store trusts; nobody before the first key is added.
    ///
    /// # Errors
    /// [`PackError::BadKey`] or [`PackError::Io`].
    pub fn trust(&self) -> Result<TrustedKeys> {
        self.view.trust()
    }

    /// Replaces the trust store. A revocation that was made here stays, whether `trust` has it or not.
    ///
    /// # Errors
    /// [`PackError::Io`], or [`PackError::LimitExceeded`] for more than a store can read again.
    pub fn set_trust(&mut self, trust: &TrustedKeys) -> Result<()> {
        let mut trust = trust.clone();
        self.view.ledger.remind(&mut trust);
        let text = trust.to_json();
        check_limit("bytes of trust.json", text.len() as u64, TRUST_BYTES)?;
        // The revocations first: what was revoked must stay so whichever of the files a crash leaves behind.
        self.write_ledger(true, |ledger| ledger.remember(&trust))?;
        write_atomic(&self.path(TRUST_FILE), text.as_bytes())?;
        self.view.notices.retain(|notice| !matches!(notice, StoreNotice::TrustLost { .. }));
        Ok(())
    }

    /// Verifies a pack against the store: its trust, the highest counter of the name, and what was rolled back.
    ///
    /// # Errors
    /// As [`verify()`]; [`PackError::Downgrade`] and [`PackError::RolledBack`].
    pub fn verify(&self, files: &PackFiles, policy: &Policy) -> Result<VerifiedPack> {
        let verified = verify(files, &self.trust()?, policy)?;
        self.state().check_counter(&verified.manifest.name, verified.manifest.counter)?;
        Ok(verified)
    }

    /// Takes a new pack into use: verify, compile, canary, copy, then one write of the state. Returns the compiled pack.
    ///
    /// # Errors
    /// As [`verify()`] and [`Pack::load`]; [`PackError::CanaryFailed`]; [`PackError::Io`]. The old pack stays in use on every error.
    pub fn activate(
        &mut self,
        files: &PackFiles,
        policy: &Policy,
        engine: &dyn Engine,
        steps: &mut dyn Steps,
    ) -> Result<Pack> {
        steps.before("verify")?;
        let verified = self.verify(files, policy)?;
        steps.before("compile")?;
        let pack = Pack::load(&verified, engine)?;
        steps.before("canary")?;
        canary(&pack)?;
        let (manifest, packs) = (verified.manifest(), self.path(PACKS_FOLDER));
        let on_disk = generation::largest_number(&packs, &manifest.name)?;
        let generation = self.state().next_generation(&manifest.name, on_disk);
        generation::write(&packs, &verified, generation, steps)?;
        let mut state = self.state().clone();
        state.activate(&Activation {
            name: &manifest.name,
            generation,
            version: &manifest.version,
            counter: manifest.counter,
            now: policy.now,
            watch_s: self.options.watch_s,
            grace_s: self.options.grace_s,
        });
        self.commit(state, steps)?;
        Ok(pack)
    }

    /// Ends the watch of the active pack.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn settle(&mut self, name: &str, steps: &mut dyn Steps) -> Result<()> {
        let mut state = self.state().clone();
        state.settle(name);
        self.commit(state, steps)
    }

    /// Goes back to the previous pack; the one that is left stays out from then on. Returns the generation.
    ///
    /// # Errors
    /// [`PackError::NoPreviousPack`], [`PackError::NotInstalled`] or [`PackError::Io`].
    pub fn rollback(&mut self, name: &str, steps: &mut dyn Steps) -> Result<u64> {
        let mut state = self.state().clone();
        let generation = state.rollback(name)?;
        self.commit(state, steps)?;
        Ok(generation)
    }

    /// Forgets and removes previous packs whose time is over.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn expire(&mut self, now: u64, steps: &mut dyn Steps) -> Result<()> {
        let mut state = self.state().clone();
        state.expire(now);
        if state == *self.state() { Ok(()) } else { self.commit(state, steps) }
    }

    /// Verifies and compiles the pack of a generation anew: the files on disk are not believed either.
    ///
    /// # Errors
    /// As [`verify()`] and [`Pack::load`].
    pub fn load(&self, name: &str, generation: u64, policy: &Policy, engine: &dyn Engine) -> Result<Pack> {
        Pack::load(&self.recheck(name, generation, policy)?, engine)
    }

    /// Verifies the pack of a generation anew, without compiling it.
    ///
    /// # Errors
    /// As [`verify()`].
    pub fn recheck(&self, name: &str, generation: u64, policy: &Policy) -> Result<VerifiedPack> {
        self.view.recheck(name, generation, policy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.view.folder.join(name)
    }

    fn commit(&mut self, state: StoreState, steps: &mut dyn Steps) -> Result<()> {
        steps.before("write the state")?;
        self.write_state(&state)?;
        self.view.state = state;
        steps.before("write the ledger")?;
        self.write_ledger(true, |_| {})?;
        steps.before("remove what is not needed")?;
        self.sweep()
    }

    fn write_state(&self, state: &StoreState) -> Result<()> {
        let text = serde_json::to_string_pretty(&StoreState { version: STATE_VERSION, ..state.clone() });
        let text = text.map_err(PackError::other)?;
        check_limit("bytes of state.json", text.len() as u64, STORE_BYTES)?;
        write_atomic(&self.path(STATE_FILE), text.as_bytes())
    }

    /// Writes the ledger when it has something new, or is not there.
    fn write_ledger(&mut self, is_there: bool, change: impl FnOnce(&mut Ledger)) -> Result<()> {
        let mut ledger = self.view.ledger.clone();
        ledger.packs = self.view.state.histories();
        change(&mut ledger);
        if is_there && ledger == self.view.ledger {
            return Ok(());
        }
        let text = ledger.to_json()?;
        check_limit("bytes of store.json", text.len() as u64, STORE_BYTES)?;
        write_atomic(&self.path(MARKER_FILE), text.as_bytes())?;
        self.view.ledger = ledger;
        Ok(())
    }

    /// Removes this program's temporaries, which only a crash leaves behind.
    fn remove_temporaries(&self, packs: &Path) -> Result<()> {
        let mut folders = vec![self.view.folder.clone(), packs.to_owned(), self.path(CACHE_FOLDER)];
        folders
            .extend(folder::entries_if_any(packs)?.iter().filter(|n| folder::is_pack_name(n)).map(|n| packs.join(n)));
        for folder in folders {
            for name in folder::entries_if_any(&folder)?.iter().filter(|name| is_temporary(name)) {
                let path = folder.join(name);
                let removed = match folder::is_folder(&path) {
                    true => std::fs::remove_dir_all(&path),
                    false => std::fs::remove_file(&path),
                };
                removed.map_err(PackError::io(&path))?;
            }
        }
        Ok(())
    }

    /// Removes every generation of this store's making that the state does not need.
    fn sweep(&self) -> Result<()> {
        let packs = self.path(PACKS_FOLDER);
        let unneeded = |(name, number): &(String, u64)| !self.state().needs(name, *number);
        generation::all(&packs)?.iter().filter(|g| unneeded(g)).try_for_each(|(n, g)| generation::remove(&packs, n, *g))
    }
}

/// The golden vectors, and every kernel at least instantiated.
fn canary(pack: &Pack) -> Result<()> {
    let failed = |why: PackError| PackError::CanaryFailed {
        name: pack.manifest().name.clone(),
        version: pack.manifest().version.clone(),
        why: why.to_string(),
    };
    pack.check_golden().map_err(failed)?;
    pack.kernels().iter().try_for_each(|kernel| kernel.touch_instance(crate::call::Isolation::Fresh)).map_err(failed)
}
