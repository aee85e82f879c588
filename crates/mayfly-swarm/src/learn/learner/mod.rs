//! One run at one node.

mod lead;
mod member;
#[cfg(test)]
mod tests;

use super::{Digest, Exchange, Message, Proposal, Report, Roster, Term};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use lead::{Campaign, Leading};
use mayfly_base::{NodeId, Rng};
use serde::{Deserialize, Serialize};

/// How a run goes at this node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnerConfig {
    /// The run's id.
    pub run: Digest,
    /// Rounds of the run.
    pub rounds: u64,
    /// Who gets bodies.
    pub exchange: Exchange,
    /// Nobody counts for more of a round, from three members on.
    pub max_share: f64,
    /// A round is closed when so many have reported; without it, when all that are up have.
    pub min_reports: Option<usize>,
    /// A round is not closed before all have reported unless it has taken so long.
    pub least_round_ms: u64,
    /// Without a word of the leader for so long, somebody else is.
    pub patience_ms: u64,
    /// What was not answered is said again.
    pub again_ms: u64,
    /// A member that was down for so many rounds leaves the roster.
    pub rounds_down: u64,
}

impl Default for LearnerConfig {
    fn default() -> Self {
        Self {
            run: Digest::default(),
            rounds: 64,
            exchange: Exchange::All,
            max_share: 0.5,
            min_reports: None,
            least_round_ms: 1_000,
            patience_ms: 3_000,
            again_ms: 500,
            rounds_down: 5,
        }
    }
}

/// What must be on disk before anybody is told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Rounds that were decided, as far as is known here.
    pub round: u64,
    /// The state after them.
    pub state: Digest,
    /// Who takes part.
    pub roster: Roster,
    /// Nothing of a lower term is accepted.
    pub promised: Term,
    /// What was accepted in the round under way.
    pub accepted: Option<Proposal>,
    /// How the last round ended.
    pub decided: Option<Proposal>,
}

/// What the driver has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Put this on disk, in the place of what was there, with the states that it speaks of as far as they are here, before anything that follows is done.
    Keep(Kept),
    /// So too, but it need not be flushed: what a loss of power takes of it is heard again from others, who have it flushed.
    Note(Kept),
    /// Send a message; it may get lost.
    Send(NodeId, Message),
    /// Send a body that is here; [`Learner::has_body`] is called where it arrives.
    SendBody(NodeId, Digest),
    /// Get a body or a state from one of these; [`Learner::has_body`] or [`Learner::has_state`] is called when it is here.
    Fetch(Digest, Vec<NodeId>),
    /// Train from the state after so many rounds; [`Learner::trained`] is called with what came of it. What is being trained otherwise is given up.
    Train(u64),
    /// Compute the state that comes of a proposal's contributions and keep it under its digest; [`Learner::computed`] is called, or [`Learner::unfit`].
    Compute(Proposal),
    /// Nobody will ask for these bodies any more.
    Drop(Vec<Digest>),
    /// So many rounds are decided, and the state after them is here.
    Reached(u64),
}

/// One run at one node, sans-IO. Every call says what time it is, in milliseconds that never go back, and gives what is to be done.
#[derive(Debug)]
pub struct Learner {
    me: NodeId,
    config: LearnerConfig,
    kept: Kept,
    /// Is the state after `kept.round` rounds here?
    has_state: bool,
    up: BTreeSet<NodeId>,
    /// The latest report of each, of the round under way or one shortly before it.
    reports: BTreeMap<NodeId, Report>,
    /// Bodies that are here.
    bodies: BTreeSet<Digest>,
    /// The round that is being trained, and the state it began with.
    training: Option<(u64, Digest)>,
    /// Who leads, in which term, and when it was last heard of.
    leader: Option<(Term, u64)>,
    /// The highest term heard of.
    highest: Term,
    campaign: Option<Campaign>,
    leading: Option<Leading>,
    /// A proposal that is accepted here once it is known to be right.
    wanted: Option<Proposal>,
    /// States that are here and could be the result of the round under way.
    results: BTreeSet<Digest>,
    /// Bodies that cannot be used.
    unfit: BTreeSet<Digest>,
    /// Is the state here from which the last decided round began, and not the one after it?
    can_compute: bool,
    /// Does it want to go?
    leaves: bool,
    /// Who is as far as this node, which wants to go, with the state.
    aware: BTreeSet<NodeId>,
    /// Does the last decided round leave others who know of it?
    is_usual: bool,
    /// A state with which the run ends.
    last: Option<Digest>,
    begun_ms: u64,
    /// Since when nobody leads.
    quiet_since_ms: u64,
    /// What rounds took.
    took_ms: Vec<u64>,
    next_again_ms: u64,
    /// This node wants in, with so many rows.
    joins: Option<u64>,
    /// Who wants in, with rows, and who goes for good.
    wishes: BTreeMap<NodeId, Wish>,
    rng: Rng,
}

/// Rounds whose times are remembered.
const REMEMBERED: usize = 15;

/// What somebody wants of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Join { rows: u64, round: u64 },
    Leave,
}

impl Learner {
    /// From what was kept, or from the roster and state of a run that begins. `states` are those that are here.
    pub fn new(
        me: NodeId,
        config: LearnerConfig,
        kept: Kept,
        states: impl IntoIterator<Item = Digest>,
        rng: Rng,
        now_ms: u64,
    ) -> Self {
        let mut results: BTreeSet<Digest> = states.into_iter().collect();
        let has_state = results.remove(&kept.state);
        Self {
            me,
            config,
            kept,
            has_state,
            up: [me].into_iter().collect(),
            reports: BTreeMap::new(),
            bodies: BTreeSet::new(),
            training: None,
            leader: None,
            highest: Term::default(),
            campaign: None,
            leading: None,
            wanted: None,
            results,
            unfit: BTreeSet::new(),
            joins: None,
            can_compute: false,
            leaves: false,
            aware: BTreeSet::new(),
            is_usual: true,
            last: None,
            quiet_since_ms: now_ms,
            begun_ms: now_ms,
            took_ms: Vec::new(),
            next_again_ms: now_ms,
            wishes: BTreeMap::new(),
            rng,
        }
    }

    /// The first thing to do.
    pub fn start(&mut self) -> Vec<Command> {
        self.train()
    }

    /// The work of a round came to nothing. It is begun anew.
    pub fn failed(&mut self, round: u64) -> Vec<Command> {
        match self.training.take_if(|(training, _)| *training == round) {
            Some(_) => self.train(),
            None => Vec::new(),
        }
    }

    /// Is something called so that may still be asked for?
    pub fn speaks_of(&self, digest: Digest) -> bool {
        let of = |proposal: &Proposal| {
            proposal.result == digest || proposal.contributions.iter().any(|one| one.body == digest)
        };
        let proposals = [&self.kept.accepted, &self.kept.decided, &self.wanted].into_iter().flatten();
        self.reports.values().any(|report| report.body == digest)
            || proposals.into_iter().any(of)
            || self.kept.state == digest
    }

    /// Trains from where the run is, if it may.
    fn train(&mut self) -> Vec<Command> {
        if self.is_over() || !self.has_state || !self.kept.roster.has(self.me) {
            return Vec::new();
        }
        self.training = Some((self.kept.round, self.kept.state));
        vec![Command::Train(self.kept.round)]
    }

    /// Asks to be let in, with so many rows, until that is so.
    pub fn join(&mut self, rows: u64) {
        self.joins = Some(rows);
    }

    /// Goes for good, by a decided round. Until then it takes part like the others.
    pub fn leave(&mut self) -> Vec<Command> {
        (self.joins, self.leaves) = (None, true);
        self.wishes.insert(self.me, Wish::Leave);
        self.to_others(&Message::Leave)
    }

    /// Has it gone, as it wanted to? So it has when the roster says so, or the run is over, and more than half of those who stay know that and have the state: otherwise
    /// it would take the last round with it. The last of all stays.
    pub fn has_left(&self) -> bool {
        let is_out = self.is_over() || self.kept.roster.has_left(self.me);
        if !(self.leaves && self.has_state && is_out) {
            return false;
        }
        let mut stay = self.kept.roster.clone();
        stay.remove(self.me);
        stay.is_majority(self.config.max_share, self.aware.iter().copied())
    }

    /// Rounds that were decided, as far as is known here.
    pub fn round(&self) -> u64 {
        self.kept.round
    }

    /// What is on disk.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Are all rounds decided?
    pub fn is_over(&self) -> bool {
        self.kept.round >= self.config.rounds || self.last == Some(self.kept.state)
    }

    /// The state that is reached is the last one, whatever the rounds.
    pub fn end(&mut self) {
        self.last = Some(self.kept.state);
        (self.training, self.campaign) = (None, None);
    }

    /// Is the state after the decided rounds here?
    pub fn has_caught_up(&self) -> bool {
        self.has_state
    }

    /// Who this node is.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Whom this node takes for the leader.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.map(|(term, _)| term.node)
    }

    /// Membership says that somebody is there, or is not. Who is not is not waited for.
    pub fn noticed(&mut self, node: NodeId, is_up: bool, now_ms: u64) -> Vec<Command> {
        if is_up || node == self.me {
            self.up.insert(node);
        } else {
            self.up.remove(&node);
            if self.leader() == Some(node) {
                self.forget_leader(now_ms);
            }
        }
        self.look(now_ms)
    }

    /// Nobody leads, and there is nothing to wait for.
    fn forget_leader(&mut self, now_ms: u64) {
        self.leader = None;
        self.quiet_since_ms = now_ms.saturating_sub(self.config.patience_ms);
    }

    /// Some time has passed. To be called when [`Learner::wake_ms`] says so, or sooner.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Command> {
        let mut commands = self.look(now_ms);
        if now_ms >= self.next_again_ms {
            self.next_again_ms = now_ms + self.config.again_ms;
            commands.extend(self.say_again());
        }
        commands
    }

    /// When [`Learner::tick`] has something to do at the latest.
    pub fn wake_ms(&self) -> u64 {
        self.next_again_ms
    }

    /// What may be due: a campaign, the end of a round.
    fn look(&mut self, now_ms: u64) -> Vec<Command> {
        self.give_up_if_stuck(now_ms);
        let mut commands = self.campaign_if_due(now_ms);
        commands.extend(self.close_if_due(now_ms));
        commands
    }

    /// The others on the roster that are up.
    fn others(&self) -> Vec<NodeId> {
        self.kept.roster.members().filter(|node| *node != self.me && self.up.contains(node)).collect()
    }

    fn to_others(&self, message: &Message) -> Vec<Command> {
        self.others().into_iter().map(|node| Command::Send(node, message.clone())).collect()
    }

    fn here(&self) -> Message {
        let Kept { round, state, promised: term, .. } = self.kept;
        Message::Here { round, state, term, leads: self.leading.is_some(), has_state: self.has_state }
    }
}
