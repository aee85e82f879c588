//! A node's part in any number of runs, over a transport and in a folder.

mod answer;
mod enter;

use crate::calls::Calls;
use crate::links::{Directory, Links};
use crate::local::network_of;
use crate::participant::{Fetching, Incoming};
use crate::progress::Progress;
use crate::shard::Shard;
use crate::state::ModelState;
use crate::store::{Kind, Store};
use crate::{Body, Call, CallId, LearnError, MEMBERS, Result, Run, RunId};
use mayfly_base::NodeId;
use mayfly_swarm::learn::{Digest, Roster};
use mayfly_wire::Transport;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};

/// Between two questions whether a run has begun.
const ENROL_TIME: Duration = Duration::from_millis(200);
/// What may wait for a run.
const WAITING: usize = 1024;
/// The failure code of questions that make no sense here.
const REFUSED: u16 = 1;

/// What a hub is started with.
pub struct HubConfig {
    /// A folder for the folders of its runs.
    pub folder: PathBuf,
    /// Who is up.
    pub directory: Arc<dyn Directory>,
}

/// A node that trains together with others. Clones are the same.
pub struct Hub<T>(Arc<Shared<T>>);

impl<T> Clone for Hub<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    links: Links<T>,
    /// A folder for the folders of runs.
    folder: PathBuf,
    runs: Mutex<BTreeMap<RunId, Seat>>,
    calls: Calls,
    /// Runs that came to nothing here, and why.
    failed: Mutex<BTreeMap<RunId, Progress>>,
    /// Another number at each start.
    life: u64,
}

/// A run that this node takes part in, or wants to.
struct Seat {
    record: Arc<Vec<u8>>,
    store: Arc<Store>,
    roster: Option<Roster>,
    /// Who wants to be there from the beginning, where this node waits for so many.
    enrolled: Option<(usize, BTreeMap<NodeId, u64>)>,
    /// Bytes of a body and of a state.
    lens: (usize, usize),
    incoming: mpsc::Sender<Incoming>,
    fetching: Fetching,
    progress: watch::Receiver<Progress>,
}

/// What a new seat needs to become a participant.
struct Admission {
    incoming: (mpsc::Sender<Incoming>, mpsc::Receiver<Incoming>),
    progress: watch::Sender<Progress>,
}

impl<T: Transport> Hub<T> {
    /// Answers others, and goes on with the runs that the folder has. Must be called within a tokio runtime.
    pub fn start(transport: T, config: HubConfig) -> Self {
        let life = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let links = Links::new(transport, config.directory);
        let (folder, runs, failed) = (config.folder, Mutex::default(), Mutex::default());
        let calls = Calls::open(&folder);
        let hub = Self(Arc::new(Shared { links, folder, runs, calls, failed, life }));
        tokio::spawn(hub.clone().take_events());
        for id in Store::list(&hub.0.folder) {
            if let Err(error) = hub.resume(id) {
                tracing::error!(run = %id, %error, "cannot go on with this run");
            }
        }
        for id in hub.0.calls.list() {
            hub.resume_call(id);
        }
        hub
    }

    /// Goes on with a run that was begun before.
    fn resume(&self, id: RunId) -> Result<()> {
        let store = Store::open(&self.0.folder, id)?;
        let (Some((record, run)), Some(shard)) = (store.record(id)?, store.shard()?) else { return Ok(()) };
        let (roster, members) = (store.roster()?, store.members()?);
        if (&roster, members) == (&None, None) {
            return self.join(id, shard); // it was waiting for the run to begin
        }
        let admission = self.admit(id, (&record, &run), Arc::new(store))?;
        match roster {
            Some(roster) => self.begin(id, run, shard, roster, admission),
            None => self.spawn_wait(id, run, shard, members.unwrap_or(1), admission),
        }
        Ok(())
    }

    /// Founds a run that begins with `state` once `members` nodes, this one included, are there.
    ///
    /// # Errors
    /// [`LearnError::TakesPart`]; settings that make no sense; what the disk refuses.
    pub fn found(&self, run: &Run, state: &ModelState, shard: Shard, members: usize) -> Result<RunId> {
        run.check()?;
        if members == 0 || members > MEMBERS {
            return Err(LearnError::option("nodes", members, format!("1 to {MEMBERS} nodes learn together")));
        }
        if state.digest() != run.first {
            return Err(LearnError::Digest {
                what: "the first state of the run",
                want: run.first,
                got: state.digest(),
            });
        }
        let record = run.to_bytes()?;
        let id = Digest::of(&record);
        self.forget_failure(id);
        let store = Arc::new(Store::open(&self.0.folder, id)?);
        let admission = self.admit(id, (&record, run), store.clone())?;
        store.put(Kind::State, run.first, &state.to_bytes())?;
        store.write_members(members)?;
        store.write_shard(&shard)?;
        store.write_record(&record)?;
        self.spawn_wait(id, run.clone(), shard, members, admission);
        Ok(id)
    }

    fn spawn_wait(&self, id: RunId, run: Run, shard: Shard, members: usize, admission: Admission) {
        let hub = self.clone();
        tokio::spawn(async move {
            let found = hub.wait_for_members(id, &run, shard, members, admission);
            found.await.inspect_err(|error| hub.fail(id, error))
        });
    }

    /// Calls for a run on the rows of several nodes. It begins when as many as the call says have answered.
    ///
    /// # Errors
    /// [`LearnError::TakesPart`]; settings that make no sense; what the disk refuses.
    pub fn call(&self, call: &Call, shard: Shard) -> Result<CallId> {
        let bytes = call.to_bytes()?;
        let id = CallId::of(&bytes);
        if self.failure(id).is_some() {
            self.0.calls.remove(id)?; // nothing came of it, and it may be tried again
        }
        self.forget_failure(id);
        self.0.calls.add(bytes, call.clone(), shard, Some(self.links().me()))?;
        self.spawn_begin(id);
        Ok(id)
    }

    /// Takes part in a run that somebody else founded, or in what comes of a call, as soon as its record can be had.
    ///
    /// # Errors
    /// [`LearnError::TakesPart`].
    pub fn join(&self, id: RunId, shard: Shard) -> Result<()> {
        self.forget_failure(id);
        let run = self.run_of(id);
        self.forget_failure(run); // whoever has left may come again
        if self.runs().contains_key(&run) || (self.0.calls.has(id) && run == id) {
            return Err(LearnError::TakesPart { id });
        }
        self.spawn_enter(run, shard);
        Ok(())
    }

    /// Leaves a run for good, by its name or that of its call. The node takes part until a round is decided without it; a call is forgotten, and if it was made here, nothing
    /// comes of it.
    ///
    /// # Errors
    /// [`LearnError::UnknownRun`], [`LearnError::NotBegun`], and what the disk refuses.
    pub fn leave(&self, id: RunId) -> Result<()> {
        let unknown = || LearnError::UnknownRun { id: id.to_string() };
        let run = self.run_of(id);
        if run == id && self.0.calls.has(id) {
            return self.0.calls.remove(id);
        }
        let (store, incoming) = {
            let runs = self.runs();
            let seat = runs.get(&run).ok_or_else(unknown)?;
            if seat.roster.is_none() {
                return Err(LearnError::NotBegun { id: run });
            }
            (seat.store.clone(), seat.incoming.clone())
        };
        store.write_leaves(true)?;
        let _ = incoming.try_send(Incoming::Leave); // where that fails, so has its part in the run
        Ok(())
    }

    fn spawn_enter(&self, id: RunId, shard: Shard) {
        let hub = self.clone();
        tokio::spawn(async move {
            if let Err(error) = hub.clone().enter(id, shard).await {
                tracing::error!(run = %id, %error, "cannot take part");
                hub.fail(id, &error);
            }
        });
    }

    /// How the runs go that this node takes part in.
    pub fn progress(&self) -> Vec<Progress> {
        let sent = |id: &RunId| self.links().sent_by(*id).load(Ordering::Relaxed);
        let mut all = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runs = self.runs();
        for (id, seat) in runs.iter().filter(|(id, _)| !all.contains_key(*id)).collect::<Vec<_>>() {
            let call = self.0.calls.of(*id).map(|call| call.to_string());
            all.insert(*id, Progress { call, bytes_sent: sent(id), ..seat.progress.borrow().clone() });
        }
        let mut all: Vec<Progress> = all.into_values().collect();
        let failed: Vec<String> = all.iter().map(|progress| progress.run.clone()).collect();
        all.extend(self.0.calls.progress().into_iter().filter(|call| !failed.contains(&call.run)));
        all
    }

    /// The run that is called so, or came of the call that is.
    fn run_of(&self, id: RunId) -> RunId {
        self.0.calls.run(id).unwrap_or(id)
    }

    /// The record of a run, by its name or that of its call.
    ///
    /// # Errors
    /// [`LearnError::UnknownRun`], and what the disk refuses.
    pub fn run(&self, id: RunId) -> Result<Run> {
        let id = self.run_of(id);
        let store = self.runs().get(&id).map(|seat| seat.store.clone());
        let record = store.map(|store| store.record(id)).transpose()?.flatten();
        record.map(|(_, run)| run).ok_or_else(|| LearnError::UnknownRun { id: id.to_string() })
    }

    /// The state that a run has come to here, by its name or that of its call.
    ///
    /// # Errors
    /// [`LearnError::UnknownRun`], and what the disk refuses.
    pub fn state(&self, id: RunId) -> Result<ModelState> {
        let id = self.run_of(id);
        let unknown = || LearnError::UnknownRun { id: id.to_string() };
        let (store, state) = {
            let runs = self.runs();
            let seat = runs.get(&id).ok_or_else(unknown)?;
            (seat.store.clone(), seat.progress.borrow().state.parse().map_err(|_| unknown())?)
        };
        let (_, run) = store.record(id)?.ok_or_else(unknown)?;
        let bytes = store.get(Kind::State, state)?.ok_or_else(unknown)?;
        ModelState::from_bytes(&bytes, &run.mover(), network_of(&run)?.params().len())
    }

    /// Ends its part in all runs, until the next start.
    pub fn stop(&self) {
        self.links().stop();
    }

    /// As [`Hub::stop`], and closes the transport.
    pub async fn close(&self) {
        self.stop();
        self.links().transport().close().await;
    }

    fn links(&self) -> &Links<T> {
        &self.0.links
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Seat>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a seat: from now on what others say of the run is heard.
    fn admit(&self, id: RunId, (record, run): (&[u8], &Run), store: Arc<Store>) -> Result<Admission> {
        let len = network_of(run)?.params().len();
        let (mode, name, rounds) = (run.mode.to_string(), run.name.clone(), run.rounds);
        let progress = watch::Sender::new(Progress { run: id.to_string(), name, mode, rounds, ..Progress::default() });
        let incoming = mpsc::channel(WAITING);
        let lens = (Body::byte_len(len), ModelState::byte_len(&run.mover(), len));
        let (record, watched) = (Arc::new(record.to_vec()), progress.subscribe());
        let seat = Seat {
            record,
            store,
            roster: None,
            enrolled: None,
            lens,
            incoming: incoming.0.clone(),
            fetching: Fetching::default(),
            progress: watched,
        };
        let mut runs = self.runs();
        if runs.contains_key(&id) {
            return Err(LearnError::TakesPart { id });
        }
        seat.store.sweep()?; // before anything can come in
        runs.insert(id, seat);
        Ok(Admission { incoming, progress })
    }

    /// What came to nothing here may be tried again.
    fn forget_failure(&self, id: RunId) {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let is_at_work = |progress: &Progress| progress.error.is_none() && !progress.has_left;
        self.runs().retain(|other, seat| *other != id || is_at_work(&seat.progress.borrow()));
    }

    /// Why there is nothing to come of a run or a call here, if there is not.
    fn failure(&self, id: RunId) -> Option<String> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.error.clone()
    }

    /// Why there is nothing to come of a run here.
    fn fail(&self, id: RunId, error: &LearnError) {
        if matches!(error, LearnError::TakesPart { .. } | LearnError::Left) {
            return; // it does, by another request; or it was told not to
        }
        self.runs().remove(&id);
        let (run, error) = (id.to_string(), Some(error.to_string()));
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(id, Progress { run, error, ..Progress::default() });
    }
}
