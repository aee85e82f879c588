//! The thread on which a node trains: one work at a time, given up when another is wanted.

use crate::local::Local;
use crate::state::ModelState;
use crate::store::{Done, Kind, Store};
use crate::{Body, LearnError, Result, Run};
use mayfly_swarm::learn::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) round: u64,
    pub(crate) parent: Digest,
    pub(crate) is_alone: bool,
    ticket: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) rows: u64,
    pub(crate) body: Digest,
    /// The mean loss; none where the work was done before.
    pub(crate) loss: Option<f64>,
    pub(crate) took_ms: f64,
}

/// Gives work to the thread. Dropped, it ends the thread.
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    ticket: Arc<AtomicU64>,
}

impl Worker {
    /// Starts the thread. What comes of its work goes to `done`.
    pub(crate) fn start(
        run: &Run,
        local: Local,
        store: Arc<Store>,
        done: UnboundedSender<(u64, Result<Trained>)>,
    ) -> Result<Self> {
        let (jobs, received) = mpsc::channel::<Job>();
        let ticket = Arc::new(AtomicU64::new(0));
        let mut desk = Desk { run: run.clone(), local, store, ticket: ticket.clone(), last: None };
        desk.resume()?;
        let work = move || {
            for job in received {
                if desk.is_wanted(&job)
                    && let Some(trained) = desk.work(&job).transpose()
                    && done.send((job.round, trained)).is_err()
                {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("mayfly-learn".into()).spawn(work);
        let failed = |source| LearnError::File { what: "start", path: "the thread that trains".into(), source };
        spawned.map(drop).map_err(failed)?;
        Ok(Self { jobs, ticket })
    }

    /// Gives up what is being done, and begins with this.
    pub(crate) fn train(&self, round: u64, parent: Digest, is_alone: bool) {
        let ticket = self.ticket.fetch_add(1, Ordering::AcqRel) + 1;
        let _ = self.jobs.send(Job { round, parent, is_alone, ticket }); // the thread ends with this
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ticket.fetch_add(1, Ordering::AcqRel);
    }
}

struct Desk {
    run: Run,
    local: Local,
    store: Arc<Store>,
    ticket: Arc<AtomicU64>,
    /// The round and the state of the work that is in the store.
    last: Option<(u64, Digest)>,
}

impl Desk {
    /// Goes on from what the store has.
    fn resume(&mut self) -> Result<()> {
        let Some(done) = self.store.done()? else { return Ok(()) };
        self.last = Some((done.round, done.parent));
        self.local.restore(done.saved)
    }

    fn is_wanted(&self, job: &Job) -> bool {
        self.ticket.load(Ordering::Acquire) == job.ticket
    }

    fn work(&mut self, job: &Job) -> Result<Option<Trained>> {
        let begun = Instant::now();
        let rows = self.local.rows();
        let trained = |body, loss| {
            let took_ms = begun.elapsed().as_secs_f64() * 1e3;
            Some(Trained { rows, body, loss, took_ms })
        };
        // Whoever is started again sends what it sent before: two things of one round would be a lie.
        if self.last == Some((job.round, job.parent))
            && let Some(done) = self.store.done()?
        {
            let body = Digest::of(&done.body);
            self.store.put(Kind::Body, body, &done.body)?;
            return Ok(trained(body, None));
        }
        let Some(bytes) = self.store.get(Kind::State, job.parent)? else { return Ok(None) }; // another one is reached by now
        let state = ModelState::from_bytes(&bytes, &self.run.mover(), self.local.len())?;
        let ticket = self.ticket.clone();
        let goes_on = || ticket.load(Ordering::Acquire) == job.ticket;
        let Some(worked) = self.local.work(&state, job.is_alone, &goes_on)? else { return Ok(None) };
        let bytes = Body::to_bytes(&worked.body);
        let body = Digest::of(&bytes);
        self.store.put(Kind::Body, body, &bytes)?;
        let saved = self.local.saved().clone();
        self.store.write_done(&Done { round: job.round, parent: job.parent, body: bytes, saved })?;
        self.last = Some((job.round, job.parent));
        Ok(trained(body, Some(worked.loss)))
    }
}
