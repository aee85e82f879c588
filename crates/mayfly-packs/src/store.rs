//! Packs on disk. `state.json` is replaced in one rename; what it does not name is rubbish of a crash and is removed on opening.

use crate::engine::{ArtefactCache, Engine};
use crate::error::{PackError, Result};
use crate::files::{PackFiles, read_regular, sync_folder, write_atomic};
use crate::limits::TRUST_BYTES;
use crate::pack::Pack;
use crate::state::{Activation, StoreState};
use crate::trust::TrustStore;
use crate::verify::{Policy, VerifiedPack, verify};
use std::fs::File;
use std::path::{Path, PathBuf};

const STATE_FILE: &str = "state.json";
const TRUST_FILE: &str = "trust.json";
const LOCK_FILE: &str = "lock";
const STATE_VERSION: u32 = 1;

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
    folder: PathBuf,
    state: StoreState,
    options: StoreOptions,
    _lock: File,
}

impl Store {
    /// Opens the store in a folder, which is made when missing, and clears away what a crash has left.
    ///
    /// # Errors
    /// [`PackError::StoreBusy`], [`PackError::StoreCorrupt`] or [`PackError::Io`].
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self> {
        std::fs::create_dir_all(folder.join("packs")).map_err(PackError::io(folder))?;
        let lock_path = folder.join(LOCK_FILE);
        let lock = File::create(&lock_path).map_err(PackError::io(&lock_path))?;
        lock.try_lock().map_err(|_| PackError::StoreBusy { path: lock_path.display().to_string() })?;
        let store = Self { folder: folder.to_owned(), state: read_state(folder)?, options, _lock: lock };
        store.sweep()?;
        Ok(store)
    }

    /// What is installed.
    pub fn state(&self) -> &StoreState {
        &self.state
    }

    /// The cache of compiled modules that belongs to the store.
    ///
    /// # Errors
    /// As [`ArtefactCache::open`].
    pub fn cache(&self) -> Result<ArtefactCache> {
        ArtefactCache::open(&self.folder.join("cache"))
    }

    /// Whom the store trusts; nobody before the first key is added.
    ///
    /// # Errors
    /// [`PackError::BadKey`] or [`PackError::Io`].
    pub fn trust(&self) -> Result<TrustStore> {
        let path = self.folder.join(TRUST_FILE);
        if !path.exists() {
            return Ok(TrustStore::default());
        }
        let bytes = read_regular(&path, TRUST_BYTES)?;
        TrustStore::from_json(&String::from_utf8_lossy(&bytes))
    }

    /// Replaces the trust store.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn set_trust(&mut self, trust: &TrustStore) -> Result<()> {
        write_atomic(&self.folder.join(TRUST_FILE), trust.to_json().as_bytes())
    }

    /// Verifies a pack against the store: its trust, and the highest counter of the name.
    ///
    /// # Errors
    /// As [`verify()`].
    pub fn verify(&self, files: &PackFiles, policy: &Policy) -> Result<VerifiedPack> {
        let verified = verify(files, &self.trust()?, policy)?;
        let highest = self.state.highest_counter(&verified.manifest.name);
        match highest.filter(|installed| verified.manifest.counter < *installed) {
            Some(installed) => {
                let (name, found) = (verified.manifest.name.clone(), verified.manifest.counter);
                Err(PackError::Downgrade { name, found, installed })
            }
            None => Ok(verified),
        }
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
        let manifest = verified.manifest();
        let generation = self.state.next_generation(&manifest.name);
        self.copy(&verified, generation, steps)?;
        let mut state = self.state.clone();
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
        let mut state = self.state.clone();
        state.settle(name);
        self.commit(state, steps)
    }

    /// Goes back to the previous pack. Returns its generation.
    ///
    /// # Errors
    /// [`PackError::NoPreviousPack`], [`PackError::NotInstalled`] or [`PackError::Io`].
    pub fn rollback(&mut self, name: &str, steps: &mut dyn Steps) -> Result<u64> {
        let mut state = self.state.clone();
        let generation = state.rollback(name)?;
        self.commit(state, steps)?;
        Ok(generation)
    }

    /// Forgets and removes previous packs whose time is over.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn expire(&mut self, now: u64, steps: &mut dyn Steps) -> Result<()> {
        let mut state = self.state.clone();
        state.expire(now);
        if state == self.state { Ok(()) } else { self.commit(state, steps) }
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
        verify(&PackFiles::Folder(self.generation_folder(name, generation)), &self.trust()?, policy)
    }

    fn commit(&mut self, state: StoreState, steps: &mut dyn Steps) -> Result<()> {
        steps.before("write the state")?;
        let text = serde_json::to_string_pretty(&StoreState { version: STATE_VERSION, ..state.clone() });
        write_atomic(&self.folder.join(STATE_FILE), text.map_err(PackError::other)?.as_bytes())?;
        self.state = state;
        steps.before("remove what is not needed")?;
        self.sweep()
    }

    /// The files that were checked, from memory: what is on disk is what was signed.
    fn copy(&self, verified: &VerifiedPack, generation: u64, steps: &mut dyn Steps) -> Result<()> {
        steps.before("make the folder")?;
        let folder = self.generation_folder(&verified.manifest.name, generation);
        std::fs::create_dir_all(&folder).map_err(PackError::io(&folder))?;
        for (path, bytes) in verified.files() {
            steps.before("write a file")?;
            let target = folder.join(path);
            let parent = target.parent().unwrap_or(&folder);
            std::fs::create_dir_all(parent).map_err(PackError::io(parent))?;
            write_atomic(&target, bytes)?;
        }
        steps.before("flush the folder")?;
        sync_folder(&folder)?;
        sync_folder(folder.parent().unwrap_or(&folder))
    }

    fn generation_folder(&self, name: &str, generation: u64) -> PathBuf {
        self.folder.join("packs").join(name).join(generation.to_string())
    }

    /// Removes every generation that the state does not name.
    fn sweep(&self) -> Result<()> {
        for name in entries(&self.folder.join("packs"))? {
            for generation in entries(&self.folder.join("packs").join(&name))? {
                let needed = generation.parse().is_ok_and(|number| self.state.needs(&name, number));
                let path = self.folder.join("packs").join(&name).join(&generation);
                if !needed {
                    std::fs::remove_dir_all(&path).map_err(PackError::io(&path))?;
                }
            }
        }
        Ok(())
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

fn entries(folder: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_dir(folder).map_err(PackError::io(folder))?;
    list.map(|entry| Ok(entry.map_err(PackError::io(folder))?.file_name().to_string_lossy().into_owned())).collect()
}

fn read_state(folder: &Path) -> Result<StoreState> {
    let path = folder.join(STATE_FILE);
    if !path.exists() {
        return Ok(StoreState { version: STATE_VERSION, ..StoreState::default() });
    }
    let corrupt = |what: String| PackError::StoreCorrupt { path: path.display().to_string(), what };
    let bytes = read_regular(&path, 1 << 20)?;
    let state: StoreState = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
    if state.version == STATE_VERSION {
        Ok(state)
    } else {
        Err(corrupt(format!("version: expected {STATE_VERSION}, found {}", state.version)))
    }
}
