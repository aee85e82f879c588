//! A run's folder at a node: its record, who it began with, what is decided, states, bodies, and the node's own work.
//!
//! What the core says must be kept is on the disk before anybody hears of it. Bodies and states that nothing speaks of yet may be lost with the machine.

use crate::local::Saved;
use crate::shard::Shard;
use crate::{LearnError, Result, Run, RunId};
use mayfly_base::NodeId;
use mayfly_base::atomic::{self, Access};
use mayfly_format::data::Survey;
use mayfly_swarm::learn::{Digest, Kept, Roster};
use mayfly_wire::{from_payload, to_payload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const RECORD: &str = "run.json";
const SHARD: &str = "shard.json";
const KEPT: &str = "kept";
const NOTED: &str = "noted";
const ROSTER: &str = "roster";
const LOCAL: &str = "local";
const MEMBERS: &str = "members";
const CALL: &str = "call";
const SURVEYS: &str = "surveys";
const BEGUN: &str = "begun";
const LEAVES: &str = "leaves";
const BODY: &str = "body-";
const STATE: &str = "state-";
const DRAFT: &str = "draft-";

/// A node's own work of a round, and what it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) round: u64,
    pub(crate) parent: Digest,
    pub(crate) body: Vec<u8>,
    pub(crate) saved: Saved,
}

/// Two kinds of things are called by their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Body,
    State,
}

pub(crate) struct Store {
    folder: PathBuf,
    /// States that are flushed to the disk.
    flushed: Mutex<BTreeSet<Digest>>,
}

impl Store {
    /// The folder of a run, made if it is not there.
    pub(crate) fn open(runs: &Path, id: RunId) -> Result<Self> {
        let folder = runs.join(id.to_string());
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        Ok(Self { folder, flushed: Mutex::default() })
    }

    /// The runs of which there are folders.
    pub(crate) fn list(runs: &Path) -> Vec<RunId> {
        let names =
            fs::read_dir(runs).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// Removes what a process that was killed left: drafts, and bodies, which are asked for again. Only where the run is not at work.
    pub(crate) fn sweep(&self) -> Result<()> {
        let _ = atomic::clean(&self.folder, &[RECORD, SHARD, MEMBERS, KEPT, ROSTER, LOCAL])
            .map_err(failed("clean", &self.folder))?;
        for name in self.names()? {
            if name.starts_with(BODY) || name.starts_with(DRAFT) {
                let path = self.folder.join(name);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder).map_err(failed("read", &self.folder))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn path(&self, kind: Kind, digest: Digest) -> PathBuf {
        let prefix = if kind == Kind::Body { BODY } else { STATE };
        self.folder.join(format!("{prefix}{digest}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let written = atomic::write(&path, Access::Private, |file| file.write_all(bytes));
        written.map_err(|error| failed("write", &path)(error.into()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes a value, with a digest before it.
    fn write_value<T: Serialize>(&self, name: &'static str, value: &T) -> Result<()> {
        let value = to_payload(name, value)?;
        let mut bytes = Digest::of(&value).0.to_vec();
        bytes.extend_from_slice(&value);
        self.write(name, &bytes)
    }

    fn read_value<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let (want, value) = bytes.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        let (want, got) = (Digest(*want), Digest::of(value));
        match want == got {
            true => Ok(Some(from_payload(name, value)?)),
            false => Err(LearnError::Digest { what: name, want, got }),
        }
    }

    pub(crate) fn write_record(&self, record: &[u8]) -> Result<()> {
        self.write(RECORD, record)
    }

    /// The record, as bytes and as it is meant.
    pub(crate) fn record(&self, id: RunId) -> Result<Option<(Vec<u8>, Run)>> {
        let Some(bytes) = self.read(RECORD)? else { return Ok(None) };
        let run = Run::from_bytes(&bytes, id)?;
        Ok(Some((bytes, run)))
    }

    pub(crate) fn write_shard(&self, shard: &Shard) -> Result<()> {
        let text = serde_json::to_vec(shard).map_err(|error| LearnError::Record { reason: error.to_string() })?;
        self.write(SHARD, &text)
    }

    pub(crate) fn shard(&self) -> Result<Option<Shard>> {
        let Some(text) = self.read(SHARD)? else { return Ok(None) };
        let shard = serde_json::from_slice(&text);
        Ok(Some(shard.map_err(|error| LearnError::Record { reason: format!("{SHARD}: {error}") })?))
    }

    /// How many are waited for, at whoever founds the run.
    pub(crate) fn write_members(&self, members: usize) -> Result<()> {
        self.write_value(MEMBERS, &members)
    }

    pub(crate) fn members(&self) -> Result<Option<usize>> {
        self.read_value(MEMBERS)
    }

    /// Whether the node wants to leave the run, or has left it.
    pub(crate) fn write_leaves(&self, leaves: bool) -> Result<()> {
        self.write_value(LEAVES, &leaves)
    }

    pub(crate) fn leaves(&self) -> Result<bool> {
        Ok(self.read_value(LEAVES)?.unwrap_or(false))
    }

    /// A call, in a folder of its own.
    pub(crate) fn write_call(&self, bytes: &[u8]) -> Result<()> {
        self.write(CALL, bytes)
    }

    pub(crate) fn call(&self) -> Result<Option<Vec<u8>>> {
        self.read(CALL)
    }

    /// What nodes say of their rows, at whoever made the call.
    pub(crate) fn write_surveys(&self, surveys: &BTreeMap<NodeId, Survey>) -> Result<()> {
        self.write_value(SURVEYS, surveys)
    }

    pub(crate) fn surveys(&self) -> Result<Option<BTreeMap<NodeId, Survey>>> {
        self.read_value(SURVEYS)
    }

    /// The run that came of the call.
    pub(crate) fn write_begun(&self, run: RunId) -> Result<()> {
        self.write_value(BEGUN, &run)
    }

    pub(crate) fn begun(&self) -> Result<Option<RunId>> {
        self.read_value(BEGUN)
    }

    /// Removes the folder.
    pub(crate) fn remove_all(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &self.folder)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn write_roster(&self, roster: &Roster) -> Result<()> {
        self.write_value(ROSTER, roster)
    }

    /// Who the run began with; none before that.
    pub(crate) fn roster(&self) -> Result<Option<Roster>> {
        self.read_value(ROSTER)
    }

    /// The node's own work. It survives the process; a loss of power may take it, and then it is done again.
    pub(crate) fn write_done(&self, done: &Done) -> Result<()> {
        self.note_value(LOCAL, done)
    }

    pub(crate) fn done(&self) -> Result<Option<Done>> {
        self.read_note(LOCAL)
    }

    /// What is decided and promised: what was flushed, or what was noted later.
    pub(crate) fn kept(&self) -> Result<Option<Kept>> {
        let (kept, noted) = (self.read_value::<Kept>(KEPT)?, self.read_note::<Kept>(NOTED)?);
        Ok(match (kept, noted) {
            (Some(kept), Some(noted)) if noted.round > kept.round => {
                Some(Kept { promised: noted.promised.max(kept.promised), ..noted })
            }
            (Some(kept), _) => Some(kept),
            (None, noted) => noted,
        })
    }

    /// What others say again if it is lost: it survives the process and need not survive a loss of power.
    pub(crate) fn note(&self, kept: &Kept) -> Result<()> {
        self.note_value(NOTED, kept)
    }

    fn note_value<T: Serialize>(&self, name: &'static str, value: &T) -> Result<()> {
        let value = to_payload(name, value)?;
        let bytes = [&Digest::of(&value).0[..], &value].concat();
        let (draft, path) = (self.folder.join(format!("{DRAFT}{name}")), self.folder.join(name));
        let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, &path));
        written.map_err(failed("write", &path))
    }

    /// Something noted, if it is whole.
    fn read_note<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>> {
        match self.read_value(name) {
            Err(error @ LearnError::Digest { .. }) => {
                tracing::warn!(folder = %self.folder.display(), name, %error, "lost with the power; it is made or heard again");
                Ok(None)
            }
            other => other,
        }
    }

    /// What is decided and promised, and the states that it speaks of, as far as they are here; others are removed, but for those just made.
    pub(crate) fn keep(&self, kept: &Kept, fresh: &BTreeSet<Digest>) -> Result<()> {
        let spoken_of = [Some(kept.state), kept.accepted.as_ref().map(|accepted| accepted.result)];
        let parent = kept.decided.as_ref().map(|decided| decided.parent);
        for digest in spoken_of.into_iter().flatten() {
            self.flush(digest)?;
        }
        self.write_value(KEPT, kept)?;
        for digest in self.states()? {
            let is_wanted = spoken_of.contains(&Some(digest)) || Some(digest) == parent || fresh.contains(&digest);
            if !is_wanted {
                self.remove(Kind::State, digest)?;
            }
        }
        Ok(())
    }

    fn flush(&self, digest: Digest) -> Result<()> {
        let path = self.path(Kind::State, digest);
        if self.flushed().contains(&digest) || !path.exists() {
            return Ok(());
        }
        // Its name is flushed with what is kept, right after.
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed("flush", &path))?;
        self.flushed().insert(digest);
        Ok(())
    }

    fn flushed(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.flushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States that are here, by their names.
    pub(crate) fn states(&self) -> Result<Vec<Digest>> {
        Ok(self.names()?.iter().filter_map(|name| name.strip_prefix(STATE)?.parse().ok()).collect())
    }

    /// States that are here and are what they are called; others are removed.
    pub(crate) fn whole_states(&self) -> Result<Vec<Digest>> {
        let mut whole = Vec::new();
        for digest in self.states()? {
            match self.get(Kind::State, digest)? {
                Some(bytes) if Digest::of(&bytes) == digest => whole.push(digest),
                _ => self.remove(Kind::State, digest)?,
            }
        }
        Ok(whole)
    }

    /// Puts something where others find it by its digest.
    pub(crate) fn put(&self, kind: Kind, digest: Digest, bytes: &[u8]) -> Result<()> {
        let path = self.path(kind, digest);
        if path.exists() {
            return Ok(());
        }
        let draft = self.folder.join(format!("{DRAFT}{digest}-{:?}", std::thread::current().id()));
        let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&draft); // it may not be there
            failed("write", &path)(error)
        })
    }

    pub(crate) fn get(&self, kind: Kind, digest: Digest) -> Result<Option<Vec<u8>>> {
        let path = self.path(kind, digest);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// A body or a state of this name.
    pub(crate) fn find(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        match self.get(Kind::State, digest)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.get(Kind::Body, digest),
        }
    }

    pub(crate) fn has(&self, digest: Digest) -> bool {
        [Kind::State, Kind::Body].into_iter().any(|kind| self.path(kind, digest).exists())
    }

    pub(crate) fn remove(&self, kind: Kind, digest: Digest) -> Result<()> {
        let path = self.path(kind, digest);
        self.flushed().remove(&digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LearnError {
    let path = path.to_owned();
    move |source| LearnError::File { what, path, source }
}
