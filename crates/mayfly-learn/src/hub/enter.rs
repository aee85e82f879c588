//! How a node comes into a run: by founding it, by its record, or by a call.

use super::{Admission, ENROL_TIME, Hub};
use crate::message::{Answer, Ask};
use crate::participant::{Beginning, Participant};
use crate::shard::{Shard, read_shard};
use crate::store::Store;
use crate::{Call, CallId, LearnError, Result, Run, RunId};
use mayfly_swarm::learn::Roster;
use mayfly_wire::Transport;
use std::sync::Arc;

impl<T: Transport> Hub<T> {
    /// Reads the rows and takes part.
    pub(super) fn begin(&self, id: RunId, run: Run, shard: Shard, roster: Roster, admission: Admission) {
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

    pub(super) async fn wait_for_members(
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

    /// Goes on with a call that was made or answered before.
    pub(super) fn resume_call(&self, id: CallId) {
        let Some((_, shard)) = self.0.calls.call(id) else { return };
        match self.0.calls.run(id) {
            Some(run) if self.runs().contains_key(&run) => {}
            Some(run) => self.spawn_enter(run, shard), // killed just before it was written that it takes part
            None if self.0.calls.surveys(id).is_some() => self.spawn_begin(id),
            None => self.spawn_enter(id, shard),
        }
    }

    /// Makes a run of a call that was answered by as many as are wanted, if it was.
    pub(super) fn spawn_begin(&self, id: CallId) {
        let hub = self.clone();
        tokio::spawn(async move {
            if let Err(error) = hub.begin_call(id).await {
                tracing::error!(call = %id, %error, "nothing comes of this call");
                hub.fail(id, &error);
            }
        });
    }

    async fn begin_call(&self, id: CallId) -> Result<()> {
        let (Some((call, surveys)), Some((_, shard))) = (self.0.calls.surveys(id), self.0.calls.call(id)) else {
            return Ok(());
        };
        if surveys.len() < call.members || self.0.calls.run(id).is_some() {
            return Ok(());
        }
        let made = tokio::task::spawn_blocking(move || call.run(&surveys).map(|made| (made, surveys.len()))).await;
        let ((run, state), members) = made.map_err(|_| LearnError::Stopped)??;
        let begun = match self.found(&run, &state, shard, members) {
            Err(LearnError::TakesPart { id }) => id, // killed just before it was written that it had begun
            other => other?,
        };
        self.0.calls.begin(id, begun)
    }

    /// Gets the record, enrols, and takes part; of a call, says first what this node's rows are like.
    pub(super) async fn enter(self, id: RunId, shard: Shard) -> Result<()> {
        match self.ask_until(id, &Ask::Record { run: id }).await? {
            Answer::Record(record) => self.enter_run(id, record, shard).await,
            Answer::Call(bytes) => {
                let run = self.answer_call(id, bytes, &shard).await?;
                self.enter_begun(run, shard).await
            }
            _ => Err(LearnError::UnknownRun { id: id.to_string() }),
        }
    }

    /// Surveys the rows, and waits until the run begins.
    async fn answer_call(&self, id: CallId, bytes: Vec<u8>, shard: &Shard) -> Result<RunId> {
        let call = Call::from_bytes(&bytes, id)?;
        let (asked, rows) = (call.clone(), shard.clone());
        let survey = tokio::task::spawn_blocking(move || asked.survey(&rows)).await;
        let survey = Box::new(survey.map_err(|_| LearnError::Stopped)??);
        if !self.0.calls.has(id) {
            self.0.calls.add(bytes, call, shard.clone(), None)?;
        }
        let waits = || self.0.calls.has(id);
        match self.ask_while(id, &Ask::Survey { call: id, survey }, &waits).await? {
            Answer::Run(run) => {
                self.0.calls.begin(id, run)?;
                Ok(run)
            }
            Answer::Refused(reason) => {
                self.0.calls.remove(id)?;
                Err(LearnError::Refused { reason })
            }
            _ => Err(LearnError::UnknownRun { id: id.to_string() }),
        }
    }

    async fn enter_begun(&self, run: RunId, shard: Shard) -> Result<()> {
        match self.ask_until(run, &Ask::Record { run }).await? {
            Answer::Record(record) => self.enter_run(run, record, shard).await,
            _ => Err(LearnError::UnknownRun { id: run.to_string() }),
        }
    }

    async fn enter_run(&self, id: RunId, record: Vec<u8>, shard: Shard) -> Result<()> {
        let run = Run::from_bytes(&record, id)?;
        let rows = self.count_rows(&shard, &run).await?;
        let store = Arc::new(Store::open(&self.0.folder, id)?);
        let admission = self.admit(id, (&record, &run), store.clone())?;
        store.write_leaves(false)?;
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
        self.ask_while(id, ask, &|| true).await
    }

    /// So too, as long as it is wanted.
    async fn ask_while(&self, id: RunId, ask: &Ask, is_wanted: &(dyn Fn() -> bool + Sync)) -> Result<Answer> {
        let mut stop = self.links().stopping();
        while is_wanted() {
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
        Err(LearnError::Left)
    }
}
