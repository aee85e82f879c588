//! The calls that a node has made or answers.

use crate::progress::Progress;
use crate::store::Store;
use crate::{Call, CallId, LearnError, Result, RunId, Shard};
use mayfly_base::NodeId;
use mayfly_format::data::Survey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folder of the calls' folders, beside those of the runs.
const FOLDER: &str = "calls";

/// The surveys of nodes.
pub(crate) type Surveys = BTreeMap<NodeId, Survey>;

pub(crate) struct Calls {
    folder: PathBuf,
    seats: Mutex<BTreeMap<CallId, Seat>>,
}

/// A call that this node made or answers.
struct Seat {
    call: Arc<Call>,
    bytes: Vec<u8>,
    shard: Shard,
    store: Store,
    /// What others said, at whoever made it.
    surveys: Option<Surveys>,
    /// What came of it.
    run: Option<RunId>,
}

/// What became of a survey.
pub(crate) enum Heard {
    /// It is one of those that are waited for, or too many.
    Waits,
    /// It was the last one.
    Complete,
    /// The run has begun.
    Begun(RunId),
    /// Somebody else made the call.
    NotMine,
}

impl Calls {
    /// Those of the folder of a node.
    pub(crate) fn open(runs: &Path) -> Self {
        let folder = runs.join(FOLDER);
        let mut seats = BTreeMap::new();
        for id in Store::list(&folder) {
            match Seat::read(&folder, id) {
                Ok(Some(seat)) => _ = seats.insert(id, seat),
                Ok(None) => {} // killed before it was written
                Err(error) => tracing::error!(call = %id, %error, "cannot go on with this call"),
            }
        }
        Self { folder, seats: Mutex::new(seats) }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<CallId, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one, as the bytes that it is called by: made by this node if `me` is given, else answered.
    pub(crate) fn add(&self, bytes: Vec<u8>, call: Call, shard: Shard, me: Option<NodeId>) -> Result<CallId> {
        let id = CallId::of(&bytes);
        let mut seats = self.seats();
        if seats.contains_key(&id) {
            return Err(LearnError::TakesPart { id });
        }
        let store = Store::open(&self.folder, id)?;
        let surveys = me.map(|me| Surveys::from([(me, call.first.clone())]));
        store.write_shard(&shard)?;
        if let Some(surveys) = &surveys {
            store.write_surveys(surveys)?;
        }
        store.write_call(&bytes)?; // the last: without it there is no call
        seats.insert(id, Seat { call: Arc::new(call), bytes, shard, store, surveys, run: None });
        Ok(id)
    }

    /// Forgets a call that came to nothing here.
    pub(crate) fn remove(&self, id: CallId) -> Result<()> {
        match self.seats().remove(&id) {
            Some(seat) => seat.store.remove_all(),
            None => Ok(()),
        }
    }

    pub(crate) fn bytes(&self, id: CallId) -> Option<Vec<u8>> {
        self.seats().get(&id).map(|seat| seat.bytes.clone())
    }

    /// The run that came of a call.
    pub(crate) fn run(&self, id: CallId) -> Option<RunId> {
        self.seats().get(&id)?.run
    }

    pub(crate) fn has(&self, id: CallId) -> bool {
        self.seats().contains_key(&id)
    }

    /// The call that a run came of.
    pub(crate) fn of(&self, run: RunId) -> Option<CallId> {
        self.seats().iter().find(|(_, seat)| seat.run == Some(run)).map(|(id, _)| *id)
    }

    /// A call with the surveys so far, at whoever made it; none at others.
    pub(crate) fn surveys(&self, id: CallId) -> Option<(Arc<Call>, Surveys)> {
        let seats = self.seats();
        let seat = seats.get(&id)?;
        Some((seat.call.clone(), seat.surveys.clone()?))
    }

    pub(crate) fn call(&self, id: CallId) -> Option<(Arc<Call>, Shard)> {
        self.seats().get(&id).map(|seat| (seat.call.clone(), seat.shard.clone()))
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<CallId> {
        self.seats().keys().copied().collect()
    }

    /// Takes in what a node says of its rows, if it goes with what others said.
    ///
    /// # Errors
    /// Columns that do not go together, with node and column; what the disk refuses.
    pub(crate) fn hear(&self, id: CallId, from: NodeId, survey: Survey) -> Result<Heard> {
        let mut seats = self.seats();
        let Some(seat) = seats.get_mut(&id) else { return Ok(Heard::NotMine) };
        if let Some(run) = seat.run {
            return Ok(Heard::Begun(run));
        }
        let Some(surveys) = &mut seat.surveys else { return Ok(Heard::NotMine) };
        if surveys.get(&from) == Some(&survey) || surveys.len() >= seat.call.members {
            return Ok(Heard::Waits);
        }
        let mut all = surveys.clone();
        all.insert(from, survey);
        seat.call.merge(&all)?;
        seat.store.write_surveys(&all)?;
        *surveys = all;
        Ok(if surveys.len() >= seat.call.members { Heard::Complete } else { Heard::Waits })
    }

    /// Notes the run that came of a call.
    pub(crate) fn begin(&self, id: CallId, run: RunId) -> Result<()> {
        match self.seats().get_mut(&id) {
            Some(seat) => {
                seat.store.write_begun(run)?;
                seat.run = Some(run);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What there is to tell of calls that nothing has come of yet.
    pub(crate) fn progress(&self) -> Vec<Progress> {
        let waiting = |(id, seat): (&CallId, &Seat)| Progress {
            run: id.to_string(),
            name: seat.call.name.clone(),
            mode: seat.call.how.mode.to_string(),
            answers: seat.surveys.as_ref().map(Surveys::len),
            awaited: Some(seat.call.members),
            rows: if seat.surveys.is_some() { seat.call.first.training_rows() } else { 0 },
            ..Progress::default()
        };
        self.seats().iter().filter(|(_, seat)| seat.run.is_none()).map(waiting).collect()
    }
}

impl Seat {
    fn read(folder: &Path, id: CallId) -> Result<Option<Self>> {
        let store = Store::open(folder, id)?;
        let (Some(bytes), Some(shard)) = (store.call()?, store.shard()?) else { return Ok(None) };
        let call = Arc::new(Call::from_bytes(&bytes, id)?);
        let (surveys, run) = (store.surveys()?, store.begun()?);
        Ok(Some(Self { call, bytes, shard, store, surveys, run }))
    }
}
