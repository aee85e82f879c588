//! What a store holds, read without changing or locking anything: whoever may read the files may look.

use super::folder::{self, Found, PACKS_FOLDER, STATE_FILE, TRUST_FILE};
use super::generation;
use super::ledger::Ledger;
use super::notice::StoreNotice;
use super::state::{Activation, StoreState};
use super::{STATE_VERSION, StoreOptions};
use crate::error::{PackError, Result};
use crate::files::{PackFiles, is_temporary, read_regular};
use crate::limits::{STORE_BYTES, TRUST_BYTES};
use crate::trust::TrustedKeys;
use crate::verify::{Policy, VerifiedPack, verify};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The contents of a store at one moment.
pub struct StoreView {
    pub(super) folder: PathBuf,
    pub(super) state: StoreState,
    pub(super) ledger: Ledger,
    pub(super) notices: Vec<StoreNotice>,
    /// The state is not the one in `state.json`.
    pub(super) rebuilt: bool,
}

impl StoreView {
    /// Reads a store. A folder that is missing or empty is a store without packs.
    ///
    /// # Errors
    /// [`PackError::NotAStore`], [`PackError::StoreCorrupt`] for a store of a later version, or [`PackError::Io`].
    pub fn read(folder: &Path) -> Result<Self> {
        let file = StateFile::read(folder)?;
        let mut notices = Vec::new();
        let ledger = match folder::look(folder, || matches!(file, StateFile::Good(_)))? {
            Found::Empty => Ledger::default(),
            Found::Marked(ledger) => ledger,
            Found::Unmarked(what) => {
                notices.push(StoreNotice::MarkerRebuilt { what });
                Ledger::default()
            }
        };
        let mut view =
            Self { folder: folder.to_owned(), state: StoreState::default(), ledger, notices, rebuilt: false };
        view.take(file)?;
        view.state.version = STATE_VERSION;
        view.state.learn(&view.ledger.packs);
        view.look_for_what_is_missing();
        Ok(view)
    }

    fn take(&mut self, file: StateFile) -> Result<()> {
        let what = match file {
            StateFile::Good(state) => {
                self.state = state;
                return Ok(());
            }
            StateFile::Missing => "it is missing".to_owned(),
            StateFile::Damaged(what) => what,
        };
        self.rebuild()?;
        // A store that never held a pack has no state yet.
        if !(self.ledger.packs.is_empty() && self.state.names().next().is_none()) {
            self.rebuilt = true;
            self.notices.push(StoreNotice::StateRebuilt { what, packs: self.state.names().count() });
        }
        Ok(())
    }

    /// The state from what lies on disk: whatever is whole, in the order of its making.
    fn rebuild(&mut self) -> Result<()> {
        let StoreOptions { grace_s, watch_s } = StoreOptions::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        self.state.learn(&self.ledger.packs);
        let packs = self.folder.join(PACKS_FOLDER);
        let mut found = generation::all(&packs)?;
        found.sort();
        for (name, number) in found {
            let Some(pack) = generation::read(&packs, &name, number) else { continue };
            let (generation, counter) = (pack.generation, pack.counter);
            let (name, version) = (&pack.name[..], &pack.version[..]);
            self.state.find(&Activation { name, generation, version, counter, now, watch_s, grace_s });
        }
        Ok(())
    }

    fn look_for_what_is_missing(&mut self) {
        for (name, number) in self.state.needed() {
            if !folder::is_folder(&generation::folder(&self.folder.join(PACKS_FOLDER), &name, number)) {
                self.notices.push(StoreNotice::Missing { name, generation: number });
            }
        }
        if self.ledger.has_trust && !self.folder.join(TRUST_FILE).exists() {
            let revocations = self.ledger.revoked_keys.len() + self.ledger.revoked_packs.len();
            self.notices.push(StoreNotice::TrustLost { revocations });
        }
    }

    /// What is installed.
    pub fn state(&self) -> &StoreState {
        &self.state
    }

    /// What was lost and made good.
    pub fn notices(&self) -> &[StoreNotice] {
        &self.notices
    }

    /// What lies in the store's folders that it has not put there. It is left alone.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn strays(&self) -> Result<Vec<StoreNotice>> {
        let mut strays = Vec::new();
        let mut stray = |path: PathBuf| strays.push(StoreNotice::Stray { path });
        for name in folder::entries_if_any(&self.folder)?.into_iter().filter(|name| !folder::is_own(name)) {
            stray(name.into());
        }
        let packs = self.folder.join(PACKS_FOLDER);
        let own = generation::all(&packs)?;
        for name in folder::entries_if_any(&packs)? {
            let (place, below) = (Path::new(PACKS_FOLDER).join(&name), packs.join(&name));
            if !folder::is_pack_name(&name) || !folder::is_folder(&below) {
                stray(place);
                continue;
            }
            for entry in folder::entries(&below)? {
                let ours = |number| own.contains(&(name.clone(), number)) || self.state.needs(&name, number);
                // An empty folder is what a crash leaves of a removal.
                let empty = || folder::entries_if_any(&below.join(&entry)).is_ok_and(|names| names.is_empty());
                let known = is_temporary(&entry) || entry.parse().is_ok_and(|n| ours(n) || empty());
                if !known {
                    stray(place.join(&entry));
                }
            }
        }
        Ok(strays)
    }

    /// Whom the store trusts; nobody before the first key is added.
    ///
    /// # Errors
    /// [`PackError::BadKey`] or [`PackError::Io`].
    pub fn trust(&self) -> Result<TrustedKeys> {
        let path = self.folder.join(TRUST_FILE);
        let mut trust = match path.exists() {
            true => {
                TrustedKeys::from_json(&String::from_utf8_lossy(&read_regular(&path, TRUST_BYTES)?)).map_err(|e| {
                    let advice = "restore it, or remove it and add the keys again with --trust: revocations are kept";
                    PackError::BadKey { what: format!("{}: {e}; {advice}", path.display()) }
                })?
            }
            false => TrustedKeys::default(),
        };
        self.ledger.remind(&mut trust);
        Ok(trust)
    }

    /// Verifies the pack of a generation anew, without compiling it.
    ///
    /// # Errors
    /// As [`verify()`].
    pub fn recheck(&self, name: &str, generation: u64, policy: &Policy) -> Result<VerifiedPack> {
        let folder = generation::folder(&self.folder.join(PACKS_FOLDER), name, generation);
        verify(&PackFiles::Folder(folder), &self.trust()?, policy)
    }
}

/// What `state.json` is like.
pub(super) enum StateFile {
    Missing,
    Damaged(String),
    Good(StoreState),
}

impl StateFile {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE_FILE);
        if std::fs::symlink_metadata(&path).is_err() {
            return Ok(Self::Missing);
        }
        let bytes = match read_regular(&path, STORE_BYTES) {
            Ok(bytes) => bytes,
            Err(error @ PackError::LimitExceeded { .. }) => return Ok(Self::Damaged(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(match serde_json::from_slice::<StoreState>(&bytes) {
            Ok(state) if (1..=STATE_VERSION).contains(&state.version) => Self::Good(state),
            Ok(state) if state.version > STATE_VERSION => {
                let what =
                    format!("version: {STATE_VERSION} is known here, this is {}; use a newer program", state.version);
                return Err(PackError::StoreCorrupt { path: path.display().to_string(), what, newer: true });
            }
            Ok(state) => Self::Damaged(format!("version {} is none", state.version)),
            Err(error) => Self::Damaged(error.to_string()),
        })
    }
}
