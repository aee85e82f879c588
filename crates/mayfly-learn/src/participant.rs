//! One run at one node: the core, turned by what comes in, and what it says carried out.

use crate::combine::{Combine, Combined};
use crate::links::Links;
use crate::message::Ask;
use crate::progress::Progress;
use crate::state::{ModelState, Mover};
use crate::store::{Kind, Store};
use crate::worker::{Trained, Worker};
use crate::{LearnError, Local, Result, Run, RunId};
use mayfly_base::{NodeId, Rng, mix};
use mayfly_nn::InMemory;
use mayfly_swarm::learn::{Command, Digest, Kept, Learner, Message, Proposal, Roster, shares_of};
use mayfly_wire::{Peer, Transport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How often it is asked who is up.
const LOOK: Duration = Duration::from_millis(100);
/// What was asked for and is on its way is asked for again after so long.
const FETCH_MS: u64 = 5_000;
/// A training that diverges so often in a row is over.
const FAILURES: usize = 3;
/// Bodies of one node that nothing speaks of yet, at most.
const UNSPOKEN: usize = 8;

/// What comes in for a run.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(NodeId, Message),
    /// It is in the store.
    Arrived {
        from: NodeId,
        kind: Kind,
        digest: Digest,
    },
    /// Nobody has it, of those who were asked.
    NotFound(Digest),
    Computed(Proposal, Result<Combined>),
    /// The node wants to leave the run; that is in the store.
    Leave,
}

/// What was asked for and is on its way. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Fetching(Arc<Mutex<BTreeMap<Digest, u64>>>);

impl Fetching {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Digest, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for something, unless that was done shortly before.
    fn begin(&self, digest: Digest, now_ms: u64) -> bool {
        let mut all = self.all();
        let is_due = all.get(&digest).is_none_or(|since| now_ms >= since + FETCH_MS);
        if is_due {
            all.insert(digest, now_ms);
        }
        is_due
    }

    fn end(&self, digest: Digest) {
        self.all().remove(&digest);
    }

    fn clear(&self) {
        self.all().clear();
    }

    /// States that nobody asked for are not taken: there is no end to what could be called one.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        self.all().contains_key(&digest)
    }
}

/// What a participant is made of.
pub(crate) struct Beginning {
    pub(crate) id: RunId,
    pub(crate) run: Run,
    pub(crate) store: Arc<Store>,
    pub(crate) roster: Roster,
    pub(crate) rows: InMemory,
    pub(crate) fetching: Fetching,
    /// Another number at each start of the node.
    pub(crate) life: u64,
}

pub(crate) struct Participant<T: Transport> {
    links: Links<T>,
    id: RunId,
    run: Run,
    store: Arc<Store>,
    learner: Learner,
    worker: Worker,
    trained: mpsc::UnboundedReceiver<(u64, Result<Trained>)>,
    combine: Arc<Mutex<Combine>>,
    /// Parameters of the network.
    len: usize,
    incoming: mpsc::Receiver<Incoming>,
    /// For what is done beside.
    back: mpsc::Sender<Incoming>,
    peers: BTreeMap<NodeId, Peer>,
    fetching: Fetching,
    /// States that were made or fetched since the last round.
    fresh: BTreeSet<Digest>,
    /// Bodies, by who sent them, the oldest first.
    sent: BTreeMap<NodeId, VecDeque<Digest>>,
    failures: usize,
    begun: Instant,
    progress: watch::Sender<Progress>,
}

impl<T: Transport> Participant<T> {
    /// From what the store has, or at the beginning.
    pub(crate) fn new(
        links: Links<T>,
        beginning: Beginning,
        (back, incoming): (mpsc::Sender<Incoming>, mpsc::Receiver<Incoming>),
        progress: watch::Sender<Progress>,
    ) -> Result<Self> {
        let Beginning { id, run, store, roster, rows, fetching, life } = beginning;
        let me = links.me();
        let kept = match store.kept()? {
            Some(kept) => kept,
            None => Kept { state: run.first, roster, ..Kept::default() },
        };
        let local = Local::new(&run, rows)?;
        let rows = local.rows();
        let (done, trained) = mpsc::unbounded_channel();
        let worker = Worker::start(&run, local, store.clone(), done)?;
        let seed = u64::from_le_bytes(std::array::from_fn(|i| me.0[i])) ^ mix(life);
        let states = store.whole_states()?;
        // What the learner is told to be here stays here, whatever is accepted meanwhile.
        let fresh = states.iter().copied().collect();
        let mut learner = Learner::new(me, run.learner_config(id), kept, states, Rng::new(seed), 0);
        learner.join(rows);
        let total = run.steps;
        progress.send_modify(|progress| (progress.rows, progress.steps_total) = (rows, total));
        let combine = Combine::new(&run)?;
        let (len, combine) = (combine.parameters(), Arc::new(Mutex::new(combine)));
        let (peers, sent) = (BTreeMap::new(), BTreeMap::new());
        let begun = Instant::now();
        Ok(Self {
            links,
            id,
            run,
            store,
            learner,
            worker,
            trained,
            combine,
            len,
            incoming,
            back,
            peers,
            fetching,
            fresh,
            sent,
            failures: 0,
            begun,
            progress,
        })
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// Takes part until the node ends, or something fails for good.
    pub(crate) async fn take_part(mut self) {
        let mut stop = self.links.stopping();
        if self.learner.has_caught_up()
            && let Err(error) = self.reached(self.learner.round())
        {
            tracing::error!(run = %self.id, %error, "the state that was reached cannot be read");
        }
        let turned = async {
            let mut first = self.learner.start();
            if self.store.leaves()? {
                first.extend(self.learner.leave());
            }
            self.carry_out(first).await?;
            while !self.learner.has_left() {
                self.turn().await?;
            }
            self.progress.send_modify(|progress| progress.has_left = true);
            Ok(())
        };
        let ended: Result<()> = tokio::select! {
            ended = turned => ended,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::error!(run = %self.id, %error, "learning has ended here");
            self.progress.send_modify(|progress| progress.error = Some(error.to_string()));
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let wake = self.learner.wake_ms().saturating_sub(self.now_ms());
        let wait = Duration::from_millis(wake).min(LOOK);
        let commands = tokio::select! {
            incoming = self.incoming.recv() => match incoming {
                Some(incoming) => self.take(incoming)?,
                None => return Err(LearnError::Stopped),
            },
            trained = self.trained.recv() => match trained {
                Some((round, trained)) => self.take_trained(round, trained)?,
                None => return Err(LearnError::Stopped),
            },
            () = tokio::time::sleep(wait) => Vec::new(),
        };
        self.carry_out(commands).await?;
        let looked = self.look();
        self.carry_out(looked).await
    }

    /// Who is up, and what is due.
    fn look(&mut self) -> Vec<Command> {
        let now_ms = self.now_ms();
        let mut commands = Vec::new();
        let up: BTreeMap<NodeId, Peer> = self.links.peers().into_iter().map(|peer| (peer.id, peer)).collect();
        let changed: Vec<(NodeId, bool)> = {
            let came = up.keys().filter(|id| !self.peers.contains_key(id)).map(|id| (*id, true));
            let went = self.peers.keys().filter(|id| !up.contains_key(id)).map(|id| (*id, false));
            came.chain(went).collect()
        };
        self.peers = up;
        for (id, is_up) in changed {
            commands.extend(self.learner.noticed(id, is_up, now_ms));
        }
        if now_ms >= self.learner.wake_ms() {
            commands.extend(self.learner.tick(now_ms));
        }
        commands
    }

    fn take(&mut self, incoming: Incoming) -> Result<Vec<Command>> {
        let now_ms = self.now_ms();
        Ok(match incoming {
            Incoming::Message(from, message) => self.learner.message(from, message, now_ms),
            Incoming::Arrived { from, kind, digest } => {
                self.fetching.end(digest);
                match kind {
                    Kind::Body => {
                        self.remember(from, digest)?;
                        self.learner.has_body(digest, now_ms)
                    }
                    Kind::State => {
                        self.fresh.insert(digest);
                        self.learner.has_state(digest, now_ms)
                    }
                }
            }
            Incoming::Leave => self.learner.leave(),
            Incoming::NotFound(digest) => {
                self.fetching.end(digest);
                Vec::new()
            }
            Incoming::Computed(proposal, Ok(combined)) => {
                let digest = combined.state.digest();
                self.fresh.insert(digest);
                self.progress.send_modify(|progress| progress.agreement = Some(combined.agreement));
                self.learner.computed(&proposal, digest, now_ms)
            }
            Incoming::Computed(proposal, Err(LearnError::Contribution { place, source })) => {
                let Some(one) = proposal.contributions.get(place) else { return Ok(Vec::new()) };
                tracing::warn!(node = %one.node.short(), error = %source, "an update was refused");
                self.progress.send_modify(|progress| progress.refused += 1);
                self.learner.unfit(one.body, now_ms)
            }
            Incoming::Computed(_, Err(error)) => {
                tracing::debug!(%error, "not computed"); // a body or a state is not here any more, or not yet
                Vec::new()
            }
        })
    }

    /// Nobody fills the disk with bodies of which nothing is said.
    fn remember(&mut self, from: NodeId, digest: Digest) -> Result<()> {
        let sent = self.sent.entry(from).or_default();
        if !sent.contains(&digest) {
            sent.push_back(digest);
        }
        while sent.len() > UNSPOKEN {
            let Some(oldest) = sent.pop_front() else { break };
            if !self.learner.speaks_of(oldest) {
                self.store.remove(Kind::Body, oldest)?;
            }
        }
        Ok(())
    }

    fn take_trained(&mut self, round: u64, trained: Result<Trained>) -> Result<Vec<Command>> {
        match trained {
            Ok(trained) => {
                self.failures = 0;
                self.progress.send_modify(|progress| {
                    progress.loss = trained.loss.or(progress.loss);
                    progress.train_ms += trained.took_ms;
                });
                Ok(self.learner.trained(round, trained.rows, trained.body, self.now_ms()))
            }
            Err(error @ (LearnError::Nn(_) | LearnError::NotFinite)) if self.failures + 1 < FAILURES => {
                self.failures += 1;
                tracing::warn!(round, %error, "the work of this round failed and is begun anew");
                Ok(self.learner.failed(round))
            }
            Err(error) => Err(error),
        }
    }

    async fn carry_out(&mut self, commands: Vec<Command>) -> Result<()> {
        for command in commands {
            match command {
                Command::Keep(kept) => self.keep(kept).await?,
                Command::Note(kept) => {
                    self.progress.send_modify(|progress| progress.round_decided = kept.round);
                    self.store.note(&kept)?;
                }
                Command::Send(to, message) => self.send(to, message),
                Command::SendBody(to, digest) => self.send_body(to, digest),
                Command::Fetch(digest, from) => self.fetch(digest, &from),
                Command::Train(round) => self.train(round),
                Command::Compute(proposal) => self.compute(proposal),
                Command::Drop(bodies) => {
                    bodies.iter().try_for_each(|body| self.store.remove(Kind::Body, *body))?;
                    self.sent.values_mut().for_each(|sent| sent.retain(|body| !bodies.contains(body)));
                }
                Command::Reached(round) => self.reached(round)?,
            }
        }
        Ok(())
    }

    async fn keep(&mut self, kept: Kept) -> Result<()> {
        self.progress.send_modify(|progress| progress.round_decided = kept.round);
        let (store, fresh) = (self.store.clone(), self.fresh.clone());
        let kept_now = tokio::task::spawn_blocking(move || store.keep(&kept, &fresh));
        kept_now.await.map_err(|_| LearnError::Stopped)?
    }

    fn send(&self, to: NodeId, message: Message) {
        let Some(peer) = self.peers.get(&to).copied() else { return };
        let (links, run) = (self.links.clone(), self.id);
        tokio::spawn(async move {
            if let Err(error) = links.ask(peer, &Ask::Say { run, message }).await {
                tracing::debug!(peer = %peer.id.short(), %error, "not told");
            }
        });
    }

    fn send_body(&self, to: NodeId, digest: Digest) {
        let Some(peer) = self.peers.get(&to).copied() else { return };
        self.links.spawn_send(peer, self.id, digest, self.store.clone());
    }

    fn fetch(&mut self, digest: Digest, from: &[NodeId]) {
        let now_ms = self.now_ms();
        if self.store.has(digest) || !self.fetching.begin(digest, now_ms) {
            return;
        }
        let sources: Vec<Peer> = from.iter().filter_map(|node| self.peers.get(node).copied()).collect();
        let (links, run, back) = (self.links.clone(), self.id, self.back.clone());
        tokio::spawn(async move {
            if !links.ask_for(&sources, run, digest).await {
                let _ = back.send(Incoming::NotFound(digest)).await; // the run ends
            }
        });
    }

    fn train(&mut self, round: u64) {
        if self.learner.is_over() {
            return;
        }
        let kept = self.learner.kept();
        self.worker.train(round, kept.state, kept.roster.members().len() == 1);
    }

    fn compute(&mut self, proposal: Proposal) {
        let (store, run, combine, back) =
            (self.store.clone(), self.run.clone(), self.combine.clone(), self.back.clone());
        tokio::task::spawn_blocking(move || {
            let mut combine = combine.lock().unwrap_or_else(PoisonError::into_inner);
            let combined = compute(&store, &run, &mut combine, &proposal);
            let _ = back.blocking_send(Incoming::Computed(proposal, combined)); // the run ends
        });
    }

    fn reached(&mut self, round: u64) -> Result<()> {
        self.end_if_last()?;
        self.fetching.clear();
        let kept = self.learner.kept();
        self.fresh.retain(|digest| *digest == kept.state);
        let (members, leader, state) = (kept.roster.members().len(), self.learner.leader(), kept.state);
        let late = kept
            .decided
            .as_ref()
            .map_or(0, |decided| decided.contributions.iter().filter(|one| one.staleness > 0).count());
        let is_over = self.learner.is_over();
        self.progress.send_modify(|progress| {
            progress.round = round;
            (progress.members, progress.leader, progress.state) =
                (members, leader.map(|node| node.to_string()), state.to_string());
            progress.late += late as u64;
            progress.is_over = is_over;
            progress.seconds = self.begun.elapsed().as_secs_f64();
        });
        Ok(())
    }

    /// In mode auto the state says how many steps nodes take, and when it is over.
    fn end_if_last(&mut self) -> Result<()> {
        let mover = self.run.mover();
        if !matches!(mover, Mover::Paced(..)) {
            return Ok(());
        }
        let digest = self.learner.kept().state;
        let bytes = self.store.get(Kind::State, digest)?.ok_or(LearnError::NotHere { digest })?;
        let state = ModelState::from_bytes(&bytes, &mover, self.len)?;
        if state.is_last(&mover) {
            self.learner.end();
            self.store.keep(self.learner.kept(), &self.fresh)?;
        }
        if let Some(pace) = state.pace() {
            let (steps, local_steps, drift) = (pace.done, pace.steps, pace.drift);
            self.progress.send_modify(|progress| {
                (progress.steps, progress.local_steps, progress.drift) = (steps, local_steps, drift);
            });
        }
        Ok(())
    }
}

/// What comes of a proposal; it is in the store afterwards.
fn compute(store: &Store, run: &Run, combine: &mut Combine, proposal: &Proposal) -> Result<Combined> {
    let lost = |digest: Digest| LearnError::NotHere { digest };
    let parent = store.get(Kind::State, proposal.parent)?.ok_or_else(|| lost(proposal.parent))?;
    let parent = ModelState::from_bytes(&parent, &run.mover(), combine.parameters())?;
    let shares = shares_of(&proposal.contributions, run.max_share);
    let combined = combine.combine(&parent, &shares, &mut |i| {
        let body = proposal.contributions.get(i).map(|one| one.body).unwrap_or_default();
        store.get(Kind::Body, body)?.ok_or_else(|| lost(body))
    })?;
    let bytes = combined.state.to_bytes();
    store.put(Kind::State, Digest::of(&bytes), &bytes)?;
    Ok(combined)
}
