//! A node's part in any number of runs, over a transport and in a folder.

use crate::links::{BODY_TIME, Directory, Links, TOPIC, late};
use crate::local::network_of;
use crate::message::{Answer, Ask, Sent};
use crate::participant::{Beginning, Fetching, Incoming, Participant};
use crate::progress::Progress;
use crate::shard::{Shard, read_shard};
use crate::state::ModelState;
use crate::store::{Kind, Store};
use crate::{Body, LearnError, MEMBERS, Result, Run, RunId};
use mayfly_base::NodeId;
use mayfly_swarm::learn::{Digest, Roster};
use mayfly_wire::{BodyReader, Event, Peer, Reply, Transport, from_payload, to_payload};
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
        let hub = Self(Arc::new(Shared { links, folder, runs, failed, life }));
        tokio::spawn(hub.clone().take_events());
        for id in Store::list(&hub.0.folder) {
            if let Err(error) = hub.resume(id) {
                tracing::error!(run = %id, %error, "cannot go on with this run");
            }
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

    /// Takes part in a run that somebody else founded, as soon as its record can be had.
    ///
    /// # Errors
    /// [`LearnError::TakesPart`].
    pub fn join(&self, id: RunId, shard: Shard) -> Result<()> {
        self.forget_failure(id);
        if self.runs().contains_key(&id) {
            return Err(LearnError::TakesPart { id });
        }
        let hub = self.clone();
        tokio::spawn(async move {
            if let Err(error) = hub.clone().enter(id, shard).await {
                tracing::error!(run = %id, %error, "cannot take part");
                hub.fail(id, &error);
            }
        });
        Ok(())
    }

    /// How the runs go that this node takes part in.
    pub fn progress(&self) -> Vec<Progress> {
        let sent = |id: &RunId| self.links().sent_by(*id).load(Ordering::Relaxed);
        let mut all = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runs = self.runs();
        for (id, seat) in runs.iter().filter(|(id, _)| !all.contains_key(*id)).collect::<Vec<_>>() {
            all.insert(*id, Progress { bytes_sent: sent(id), ..seat.progress.borrow().clone() });
        }
        all.into_values().collect()
    }

    /// The record of a run.
    ///
    /// # Errors
    /// [`LearnError::UnknownRun`], and what the disk refuses.
    pub fn run(&self, id: RunId) -> Result<Run> {
        let store = self.runs().get(&id).map(|seat| seat.store.clone());
        let record = store.map(|store| store.record(id)).transpose()?.flatten();
        record.map(|(_, run)| run).ok_or_else(|| LearnError::UnknownRun { id: id.to_string() })
    }

    /// The state that a run has come to here.
    ///
    /// # Errors
    /// [`LearnError::UnknownRun`], and what the disk refuses.
    pub fn state(&self, id: RunId) -> Result<ModelState> {
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

    /// Reads the rows and takes part.
    fn begin(&self, id: RunId, run: Run, shard: Shard, roster: Roster, admission: Admission) {
        let Some((store, fetching)) = self.runs().get_mut(&id).map(|seat| {
            seat.roster = Some(roster.clone());
            seat.enrolled = None;
            (seat.store.clone(), seat.fetching.clone())
        }) else {
            return;
        };
        let hub = self.clone();
        tokio::spawn(async move {
            let Admission { incoming, progress } = admission;
            let made = tokio::task::spawn_blocking({
                let (hub, progress) = (hub.clone(), progress.clone());
                move || {
                    let rows = read_shard(&shard, &run.encoder)?;
                    Participant::new(
                        hub.links().clone(),
                        Beginning { id, run, store, roster, rows, fetching, life: hub.0.life },
                        incoming,
                        progress,
                    )
                }
            });
            match made.await {
                Ok(Ok(participant)) => participant.take_part().await,
                Ok(Err(error)) => progress.send_modify(|progress| progress.error = Some(error.to_string())),
                Err(_) => {} // the runtime ends
            }
        });
    }

    /// What came to nothing here may be tried again.
    fn forget_failure(&self, id: RunId) {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.runs().retain(|other, seat| *other != id || seat.progress.borrow().error.is_none());
    }

    /// Why there is nothing to come of a run here.
    fn fail(&self, id: RunId, error: &LearnError) {
        if matches!(error, LearnError::TakesPart { .. }) {
            return; // it does, by another request
        }
        self.runs().remove(&id);
        let (run, error) = (id.to_string(), Some(error.to_string()));
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(id, Progress { run, error, ..Progress::default() });
    }

    async fn wait_for_members(
        &self,
        id: RunId,
        run: &Run,
        shard: Shard,
        members: usize,
        admission: Admission,
    ) -> Result<()> {
        let rows = self.count_rows(&shard, run).await?;
        if let Some(seat) = self.runs().get_mut(&id) {
            seat.enrolled = Some((members, [(self.links().me(), rows)].into()));
        }
        let mut stop = self.links().stopping();
        loop {
            let roster: Option<Roster> = self.runs().get(&id).and_then(|seat| {
                let (wanted, enrolled) = seat.enrolled.as_ref()?;
                (enrolled.len() >= *wanted).then(|| enrolled.iter().map(|(node, rows)| (*node, *rows)).collect())
            });
            if let Some(roster) = roster {
                self.write_roster(id, &roster)?;
                self.begin(id, run.clone(), shard, roster, admission);
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(ENROL_TIME / 4) => {}
                _ = stop.wait_for(|stop| *stop) => return Err(LearnError::Stopped),
            }
        }
    }

    fn write_roster(&self, id: RunId, roster: &Roster) -> Result<()> {
        let store = self.runs().get(&id).map(|seat| seat.store.clone());
        store.map_or(Ok(()), |store| store.write_roster(roster))
    }

    async fn count_rows(&self, shard: &Shard, run: &Run) -> Result<u64> {
        let (shard, encoder) = (shard.clone(), run.encoder.clone());
        let counted = tokio::task::spawn_blocking(move || read_shard(&shard, &encoder));
        Ok(counted.await.map_err(|_| LearnError::Stopped)??.len() as u64)
    }

    /// Gets the record, enrols, and takes part.
    async fn enter(self, id: RunId, shard: Shard) -> Result<()> {
        let record = self.ask_until(id, &Ask::Record { run: id }).await?;
        let Answer::Record(record) = record else { return Err(LearnError::UnknownRun { id: id.to_string() }) };
        let run = Run::from_bytes(&record, id)?;
        let rows = self.count_rows(&shard, &run).await?;
        let store = Arc::new(Store::open(&self.0.folder, id)?);
        let admission = self.admit(id, (&record, &run), store.clone())?;
        store.write_shard(&shard)?;
        store.write_record(&record)?;
        let roster = match store.roster()? {
            Some(roster) => roster,
            None => match self.ask_until(id, &Ask::Enrol { run: id, rows }).await? {
                Answer::Begun(roster) => roster,
                _ => return Err(LearnError::UnknownRun { id: id.to_string() }),
            },
        };
        store.write_roster(&roster)?;
        self.begin(id, run, shard, roster, admission);
        Ok(())
    }

    /// Asks one after another, until somebody has more to say than that it is not there yet.
    async fn ask_until(&self, id: RunId, ask: &Ask) -> Result<Answer> {
        let mut stop = self.links().stopping();
        loop {
            for peer in self.links().peers() {
                match self.links().ask(peer, ask).await {
                    Ok(Answer::NotYet | Answer::NotHere | Answer::Taken | Answer::Coming) => {}
                    Ok(answer) => return Ok(answer),
                    Err(error) => tracing::debug!(run = %id, peer = %peer.id.short(), %error, "no answer"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(ENROL_TIME) => {}
                _ = stop.wait_for(|stop| *stop) => return Err(LearnError::Stopped),
            }
        }
    }

    async fn take_events(self) {
        let mut stop = self.links().stopping();
        loop {
            let event = tokio::select! {
                event = self.links().transport().next() => event,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            match event {
                Some(Event::Request { from, topic: TOPIC, payload, reply }) => self.answer(from, &payload, reply),
                Some(Event::Body { from, topic: TOPIC, meta, body }) => {
                    tokio::spawn(self.clone().receive(from, meta, body));
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn answer(&self, from: Peer, payload: &[u8], reply: Reply) {
        let answer = from_payload("a message of a run", payload)
            .map_err(LearnError::from)
            .and_then(|ask| self.answer_to(from, ask));
        let payload = answer.and_then(|answer| Ok(to_payload("an answer of a run", &answer)?));
        match payload {
            Ok(payload) => reply.answer(payload),
            Err(error) => reply.refuse(REFUSED, error.to_string()),
        }
    }

    fn answer_to(&self, from: Peer, ask: Ask) -> Result<Answer> {
        let mut runs = self.runs();
        let Some(seat) = runs.get_mut(&ask.run()) else { return Ok(Answer::NotHere) };
        Ok(match ask {
            Ask::Say { message, .. } => match seat.incoming.try_send(Incoming::Message(from.id, message)) {
                Ok(()) => Answer::Taken,
                Err(_) => Answer::NotHere, // said again if it matters
            },
            Ask::Fetch { digest, run } => {
                let store = seat.store.clone();
                drop(runs);
                if !store.has(digest) {
                    return Ok(Answer::NotHere);
                }
                self.links().spawn_send(from, run, digest, store);
                Answer::Coming
            }
            Ask::Record { .. } => Answer::Record(seat.record.to_vec()),
            Ask::Enrol { rows, .. } => match (&seat.roster, &mut seat.enrolled) {
                (Some(roster), _) => Answer::Begun(roster.clone()),
                (None, Some((wanted, enrolled))) => {
                    if enrolled.len() < *wanted {
                        enrolled.insert(from.id, rows);
                    }
                    Answer::NotYet
                }
                (None, None) => Answer::NotYet,
            },
        })
    }

    /// Takes a body or a state in, if it is as long as one and is what it is called.
    async fn receive(self, from: Peer, meta: Vec<u8>, body: BodyReader) {
        if let Err(error) = self.try_receive(from, &meta, body).await {
            tracing::debug!(peer = %from.id.short(), %error, "a body was refused");
        }
    }

    async fn try_receive(&self, from: Peer, meta: &[u8], body: BodyReader) -> Result<()> {
        let Sent { run, digest } = from_payload("the head of a body", meta)?;
        let unknown = || LearnError::UnknownRun { id: run.to_string() };
        let (store, (body_len, state_len), incoming, fetching) = {
            let runs = self.runs();
            let seat = runs.get(&run).ok_or_else(unknown)?;
            (seat.store.clone(), seat.lens, seat.incoming.clone(), seat.fetching.clone())
        };
        let len = usize::try_from(body.declared_len()).unwrap_or(usize::MAX);
        let kind = match len {
            len if len == body_len => Kind::Body,
            len if len == state_len => Kind::State,
            got => return Err(LearnError::Length { what: "an update", want: body_len, got }),
        };
        if kind == Kind::State && !fetching.has(digest) {
            return Err(LearnError::Unasked { digest });
        }
        let time = BODY_TIME + Duration::from_secs(len as u64 >> 20);
        let bytes = tokio::time::timeout(time, body.read_to_end(len as u64)).await;
        let bytes = bytes.map_err(|_| late("a body", time))??;
        let taken = tokio::task::spawn_blocking(move || {
            let got = Digest::of(&bytes);
            if got != digest {
                return Err(LearnError::Digest { what: "a body", want: digest, got });
            }
            store.put(kind, digest, &bytes)
        });
        taken.await.map_err(|_| LearnError::Stopped)??;
        let _ = incoming.send(Incoming::Arrived { from: from.id, kind, digest }).await; // the run may have ended
        Ok(())
    }
}
