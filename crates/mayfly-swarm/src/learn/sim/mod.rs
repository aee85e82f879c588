//! Runs from one seed: hosts, the network between them, and time.

mod host;
mod ordeal;
mod work;

pub use ordeal::{Ordeal, OrdealConfig, ordeal};
pub use work::{Names, Unfit, Work};

use super::{Command, Contribution, Digest, Kept, Learner, LearnerConfig, Message, Proposal, Roster, shares_of};
use crate::sim::Queue;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use host::Host;
use mayfly_base::{NodeId, Rng, mix};

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// Hosts.
    pub nodes: usize,
    /// So many of them, the last, are not on the first roster, and ask to be let in.
    pub newcomers: usize,
    /// Decides everything that is random.
    pub seed: u64,
    /// How the run goes.
    pub learner: LearnerConfig,
    /// Share of messages that get lost, 0 to 1. Bodies are streams, and come again.
    pub loss: f64,
    /// Least and most milliseconds that anything takes on its way; what was sent later may arrive earlier.
    pub delay_ms: (u64, u64),
    /// Bytes of a body that pass in a millisecond.
    pub bytes_per_ms: u64,
    /// Least and most milliseconds of a round's local work.
    pub train_ms: (u64, u64),
    /// How long until membership notices that somebody is gone or back.
    pub notice_ms: u64,
    /// How often a host dies between two things that it has to do, 0 to 1; it is started again soon.
    pub crashes: f64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            nodes: 5,
            newcomers: 0,
            seed: 1,
            learner: LearnerConfig::default(),
            loss: 0.0,
            delay_ms: (1, 5),
            bytes_per_ms: 10_000,
            train_ms: (90, 110),
            notice_ms: 2_000,
            crashes: 0.0,
        }
    }
}

enum Event {
    Wake {
        host: usize,
        life: u64,
    },
    Message {
        to: usize,
        from: usize,
        message: Message,
    },
    /// Something that is called by its digest: a body or a state.
    Bytes {
        to: usize,
        life: u64,
        bytes: Vec<u8>,
    },
    /// A request for something.
    Fetch {
        to: usize,
        from: usize,
        life: u64,
        digest: Digest,
    },
    Trained {
        host: usize,
        life: u64,
        round: u64,
        body: Vec<u8>,
    },
    /// Somebody starts a host that has died.
    Start {
        host: usize,
    },
    Notice {
        host: usize,
        of: usize,
        is_wrong: bool,
    },
}

/// A run being simulated.
pub struct Sim<W> {
    config: SimConfig,
    work: W,
    hosts: Vec<Host>,
    by_id: BTreeMap<NodeId, usize>,
    queue: Queue<Event>,
    now_ms: u64,
    rng: Rng,
    /// What each round came to, as hosts heard of it.
    results: BTreeMap<u64, Digest>,
    /// Rounds that came to two things, or counted something that had counted before.
    conflicts: Vec<u64>,
    counted: BTreeSet<(NodeId, u64)>,
    /// Promises and acceptances that were told and were not on the disk.
    broken: usize,
    history: u64,
    bytes: u64,
}

impl<W: Work> Sim<W> {
    /// All hosts started, from one state; `rows` at each.
    pub fn new(config: SimConfig, mut work: W) -> Self {
        let hosts: Vec<Host> = (0..config.nodes).map(|i| Host::new(config.seed, i)).collect();
        let by_id: BTreeMap<NodeId, usize> = hosts.iter().enumerate().map(|(i, host)| (host.id, i)).collect();
        let first = work.first();
        let founders = hosts.iter().enumerate().take(config.nodes - config.newcomers.min(config.nodes));
        let roster: Roster = founders.map(|(i, host)| (host.id, work.rows(i))).collect();
        let kept = Kept { state: Digest::of(&first), roster, ..Kept::default() };
        let rng = Rng::stream(config.seed, 0);
        let (queue, results, conflicts, counted) = (Queue::new(), BTreeMap::new(), Vec::new(), BTreeSet::new());
        let (now_ms, broken, history, bytes) = (0, 0, 0, 0);
        let mut sim = Self {
            config,
            work,
            hosts,
            by_id,
            queue,
            now_ms,
            rng,
            results,
            conflicts,
            counted,
            broken,
            history,
            bytes,
        };
        for i in 0..sim.hosts.len() {
            let rows = sim.work.rows(i);
            // Whoever began the run has its state; the others fetch it.
            let first = (i == 0).then(|| first.clone());
            sim.hosts[i].found(kept.clone(), first, rows);
            sim.start(i);
        }
        sim
    }

    /// A host wants to leave the run for good.
    pub fn leave(&mut self, i: usize) {
        self.hosts[i].leaves = true;
        self.turn_host(i, None, Learner::leave);
    }

    /// Starts a host that is down, from its disk, unless it has left the run.
    pub fn start(&mut self, i: usize) {
        if self.hosts[i].is_gone {
            return;
        }
        let (seed, now_ms, learner) = (self.config.seed, self.now_ms, self.config.learner);
        let commands = self.hosts[i].start(seed, learner, now_ms);
        self.notice(i);
        self.follow(i, commands);
    }

    /// Ends a host: what is not on its disk is gone.
    pub fn kill(&mut self, i: usize) {
        self.hosts[i].kill();
        self.notice(i);
    }

    /// Ends a host: what is not flushed is gone too.
    pub fn lose_power(&mut self, i: usize) {
        self.hosts[i].lose_power();
        self.notice(i);
    }

    /// From now on nothing passes between hosts of different groups.
    pub fn part(&mut self, groups: impl Fn(usize) -> u8) {
        (0..self.hosts.len()).for_each(|i| self.hosts[i].group = groups(i));
        (0..self.hosts.len()).for_each(|i| self.notice(i));
    }

    /// Local work takes so many times as long at a host.
    pub fn slow(&mut self, i: usize, times: u64) {
        self.hosts[i].slowness = times;
    }

    /// Membership is wrong for once: it calls a host down, and back soon after.
    pub fn suspect(&mut self, host: usize, of: usize) {
        self.push(self.now_ms, Event::Notice { host, of, is_wrong: true });
        self.push(self.now_ms + self.config.notice_ms, Event::Notice { host, of, is_wrong: false });
    }

    /// Membership finds out what is so with a host, sooner or later.
    fn notice(&mut self, i: usize) {
        for host in 0..self.hosts.len() {
            for (at, of) in [(host, i), (i, host)] {
                let when = self.now_ms + 1 + self.rng.below(self.config.notice_ms.max(1));
                self.push(when, Event::Notice { host: at, of, is_wrong: false });
            }
        }
    }

    /// Goes on until a moment.
    pub fn run_until(&mut self, ms: u64) {
        while let Some((at, turn, event)) = self.queue.pop_until(ms) {
            self.now_ms = self.now_ms.max(at);
            self.history = mix(self.history ^ at.wrapping_mul(31) ^ turn);
            self.happen(event);
        }
        self.now_ms = self.now_ms.max(ms);
    }

    /// Goes on until everyone that is up has reached the end, or for so long. Has everyone?
    pub fn run_to_end(&mut self, within_ms: u64) -> bool {
        let end = self.now_ms + within_ms;
        while self.now_ms < end {
            if self.hosts.iter().filter(|host| host.is_up()).all(|host| host.is_over()) {
                return true;
            }
            self.run_until(self.now_ms + 100);
        }
        false
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// What each round came to.
    pub fn results(&self) -> &BTreeMap<u64, Digest> {
        &self.results
    }

    /// From now on hosts do not die by themselves.
    pub fn spare(&mut self) {
        self.config.crashes = 0.0;
    }

    /// Rounds that came to two things, or counted an update twice, which must not be.
    pub fn conflicts(&self) -> &[u64] {
        &self.conflicts
    }

    /// Promises and acceptances that were told and were not on the disk, which must not be.
    pub fn broken(&self) -> usize {
        self.broken
    }

    /// A name for all that happened.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// Bytes of bodies and states that were sent.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rounds that were decided, as a host knows.
    pub fn round(&self, i: usize) -> u64 {
        self.hosts[i].disk.kept.round
    }

    /// What is trained.
    pub fn work(&self) -> &W {
        &self.work
    }

    /// The state that a host has reached.
    pub fn state(&self, i: usize) -> Option<&[u8]> {
        let host = &self.hosts[i];
        host.disk.states.get(&host.disk.kept.state).map(Vec::as_slice)
    }

    /// What a host's learner has in its books, for whoever looks for a fault.
    pub fn books(&self, i: usize) -> Option<&Learner> {
        self.hosts[i].learner.as_ref()
    }

    /// Who a host takes for the leader.
    pub fn leader(&self, i: usize) -> Option<usize> {
        let leader = self.hosts[i].learner.as_ref()?.leader()?;
        self.by_id.get(&leader).copied()
    }

    fn push(&mut self, at: u64, event: Event) {
        self.queue.push(at, event);
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.config.delay_ms;
        least + self.rng.below(most.saturating_sub(least) + 1)
    }

    fn is_passing(&self, from: usize, to: usize) -> bool {
        let (from, to) = (&self.hosts[from], &self.hosts[to]);
        from.is_up() && to.is_up() && from.group == to.group
    }

    fn happen(&mut self, event: Event) {
        let now_ms = self.now_ms;
        match event {
            Event::Wake { host, life } => self.turn_host(host, Some(life), |learner| learner.tick(now_ms)),
            Event::Message { to, from, message } if self.is_passing(from, to) => {
                let from = self.hosts[from].id;
                self.turn_host(to, None, |learner| learner.message(from, message, now_ms));
            }
            Event::Message { .. } => {}
            Event::Bytes { to, life, bytes } => {
                let digest = Digest::of(&bytes);
                if self.hosts[to].life == life && self.hosts[to].is_up() {
                    self.hosts[to].bytes.insert(digest, bytes);
                    self.turn_host(to, Some(life), |learner| {
                        let mut commands = learner.has_state(digest, now_ms);
                        commands.extend(learner.has_body(digest, now_ms));
                        commands
                    });
                }
            }
            Event::Fetch { to, from, life, digest } if self.is_passing(from, to) => {
                if let Some(bytes) = self.hosts[to].get(digest) {
                    self.send_bytes(to, from, life, bytes);
                }
            }
            Event::Fetch { .. } => {}
            Event::Trained { host, life, round, body } => {
                let digest = Digest::of(&body);
                let rows = self.work.rows(host);
                if self.hosts[host].life == life && self.hosts[host].is_up() {
                    self.hosts[host].bytes.insert(digest, body);
                    self.turn_host(host, Some(life), |learner| learner.trained(round, rows, digest, now_ms));
                }
            }
            Event::Start { host } if !self.hosts[host].is_up() => self.start(host),
            Event::Start { .. } => {}
            Event::Notice { host, of, is_wrong } => {
                let is_up = !is_wrong && self.is_passing(host, of);
                let of = self.hosts[of].id;
                self.turn_host(host, None, |learner| learner.noticed(of, is_up, now_ms));
            }
        }
    }

    fn turn_host(&mut self, i: usize, life: Option<u64>, act: impl FnOnce(&mut Learner) -> Vec<Command>) {
        let host = &mut self.hosts[i];
        if life.is_some_and(|life| life != host.life) {
            return;
        }
        let Some(learner) = &mut host.learner else { return };
        let commands = act(learner);
        if learner.has_left() {
            host.is_gone = true;
            self.kill(i);
            return;
        }
        self.follow(i, commands);
    }

    /// Does what a learner says.
    fn follow(&mut self, i: usize, commands: Vec<Command>) {
        let life = self.hosts[i].life;
        for command in commands {
            if self.config.crashes > 0.0 && self.rng.uniform_f64() < self.config.crashes {
                self.kill(i);
                // What was under way to it still arrives.
                let soon = self.now_ms + self.rng.below(100);
                self.push(soon, Event::Start { host: i });
            }
            if !self.hosts[i].is_up() || self.hosts[i].life != life {
                return;
            }
            self.carry_out(i, command);
        }
        let host = &mut self.hosts[i];
        let Some(wake_ms) = host.learner.as_ref().map(Learner::wake_ms) else { return };
        if wake_ms > host.wake_ms || host.wake_ms <= self.now_ms {
            host.wake_ms = wake_ms.max(self.now_ms + 1);
            let (at, life) = (host.wake_ms, host.life);
            self.push(at, Event::Wake { host: i, life });
        }
    }

    fn carry_out(&mut self, i: usize, command: Command) {
        let now_ms = self.now_ms;
        match command {
            Command::Keep(kept) => {
                self.decided(&kept);
                self.hosts[i].keep(kept);
            }
            Command::Note(kept) => {
                self.decided(&kept);
                self.hosts[i].note(kept);
            }
            Command::Send(to, message) => {
                self.broken += usize::from(!self.hosts[i].disk.holds(&message));
                let delay = self.delay();
                let is_lost = self.rng.uniform_f64() < self.config.loss;
                if let Some(to) = self.by_id.get(&to).copied().filter(|_| !is_lost) {
                    self.push(now_ms + delay, Event::Message { to, from: i, message });
                }
            }
            Command::SendBody(to, digest) => {
                if let (Some(to), Some(bytes)) = (self.by_id.get(&to).copied(), self.hosts[i].get(digest)) {
                    let life = self.hosts[to].life;
                    self.send_bytes(i, to, life, bytes);
                }
            }
            Command::Fetch(digest, from) => {
                let has = |host: &usize| self.is_passing(i, *host) && self.hosts[*host].get(digest).is_some();
                let whom = from.iter().filter_map(|node| self.by_id.get(node).copied()).find(has);
                if let Some(to) = whom {
                    let (delay, life) = (self.delay(), self.hosts[i].life);
                    self.push(now_ms + delay, Event::Fetch { to, from: i, life, digest });
                }
            }
            Command::Train(round) => self.train(i, round),
            Command::Compute(proposal) => self.compute(i, &proposal),
            Command::Drop(bodies) => bodies.iter().for_each(|body| drop(self.hosts[i].bytes.remove(body))),
            Command::Reached(_) => {
                self.hosts[i].reached();
                self.end_if_last(i);
            }
        }
    }

    /// Notes what a round came to.
    fn decided(&mut self, kept: &Kept) {
        if let Some(decided) = &kept.decided {
            let is_first = !self.results.contains_key(&decided.round);
            let known = *self.results.entry(decided.round).or_insert(decided.result);
            let made = |one: &Contribution| (one.node, decided.round - u64::from(one.staleness));
            let is_new = !is_first || decided.contributions.iter().all(|one| self.counted.insert(made(one)));
            if known != decided.result || !is_new {
                self.conflicts.push(decided.round);
            }
        }
    }

    fn send_bytes(&mut self, from: usize, to: usize, life: u64, bytes: Vec<u8>) {
        if !self.is_passing(from, to) {
            return;
        }
        self.bytes += bytes.len() as u64;
        let time = self.delay() + bytes.len() as u64 / self.config.bytes_per_ms.max(1);
        self.push(self.now_ms + time, Event::Bytes { to, life, bytes });
    }

    fn train(&mut self, i: usize, round: u64) {
        let Some(state) = self.state(i).map(<[u8]>::to_vec) else { return };
        let body = self.work.train(i, round, &state);
        let (least, most) = self.config.train_ms;
        let time = least + self.rng.below(most.saturating_sub(least) + 1);
        let time = self.work.train_ms(&state, time) * self.hosts[i].slowness;
        let life = self.hosts[i].life;
        self.push(self.now_ms + time, Event::Trained { host: i, life, round, body });
    }

    /// Some work knows when it is done.
    fn end_if_last(&mut self, i: usize) {
        let is_last = self.state(i).is_some_and(|state| self.work.is_last(state));
        if let Some(learner) = self.hosts[i].learner.as_mut().filter(|_| is_last) {
            learner.end();
        }
    }

    fn compute(&mut self, i: usize, proposal: &Proposal) {
        let now_ms = self.now_ms;
        let shares = shares_of(&proposal.contributions, self.config.learner.max_share);
        let host = &self.hosts[i];
        let bodies: Option<Vec<Vec<u8>>> = proposal.contributions.iter().map(|one| host.get(one.body)).collect();
        let (Some(parent), Some(bodies)) = (host.get(proposal.parent), bodies) else { return };
        match self.work.combine(&parent, &bodies, &shares) {
            Ok(state) => {
                let digest = Digest::of(&state);
                self.hosts[i].bytes.insert(digest, state);
                self.turn_host(i, None, |learner| learner.computed(proposal, digest, now_ms));
            }
            Err(Unfit(which)) => {
                let Some(body) = proposal.contributions.get(which).map(|one| one.body) else { return };
                self.turn_host(i, None, |learner| learner.unfit(body, now_ms));
            }
        }
    }
}
