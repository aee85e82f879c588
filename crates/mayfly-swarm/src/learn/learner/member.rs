//! What every member does: train, report, promise, accept, follow.

use super::{Command, Learner, REMEMBERED, Wish};
use crate::learn::share::LATEST;
use crate::learn::{Contribution, Digest, Exchange, Message, Proposal, Report, Term};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::NodeId;

impl Learner {
    /// Something came from another node.
    pub fn message(&mut self, from: NodeId, message: Message, now_ms: u64) -> Vec<Command> {
        match message {
            Message::Here { round, term, leads, has_state, .. } => {
                self.is_aware(from, round, has_state);
                self.heard(from, round, term, leads, now_ms)
            }
            Message::Report(report) => self.reported(from, report, now_ms),
            Message::Prepare { round, term } => self.asked_to_promise(from, round, term),
            Message::Promise { term, round, accepted } => self.promised(from, (term, round), accepted, now_ms),
            Message::Propose(proposal) => self.proposed(from, proposal, now_ms),
            Message::Accept { round, term } => self.accepted(from, round, term, now_ms),
            Message::Refuse { term } => {
                self.step_down(term);
                Vec::new()
            }
            Message::Decided(proposal) => self.decided(proposal, now_ms),
            Message::Join { rows, round } => self.wished(from, Wish::Join { rows, round }),
            Message::Leave => self.wished(from, Wish::Leave),
        }
    }

    fn wished(&mut self, from: NodeId, wish: Wish) -> Vec<Command> {
        self.wishes.insert(from, wish);
        // Whoever has left waits for a word that this is known.
        let is_out = wish == Wish::Leave && (self.kept.roster.has_left(from) || self.is_over());
        if is_out { vec![Command::Send(from, self.here())] } else { Vec::new() }
    }

    /// Local work is done. `rows` it was made from, and the name of its body, which is here.
    pub fn trained(&mut self, round: u64, rows: u64, body: Digest, now_ms: u64) -> Vec<Command> {
        let Some((_, parent)) = self.training.take_if(|(training, _)| *training == round) else { return Vec::new() };
        self.bodies.insert(body);
        let report = Report { round, parent, node: self.me, rows, body };
        self.reports.insert(self.me, report);
        let mut commands = self.send_report(true);
        if round < self.kept.round {
            commands.extend(self.train());
        }
        commands.extend(self.close_if_due(now_ms));
        commands
    }

    /// To whoever is to have it.
    fn send_report(&self, with_body: bool) -> Vec<Command> {
        let Some(report) = self.reports.get(&self.me).filter(|report| self.counts(report).is_some()) else {
            return Vec::new();
        };
        let whom = match self.config.exchange {
            Exchange::All => self.others(),
            Exchange::Leader => self.leader().into_iter().filter(|leader| *leader != self.me).collect(),
        };
        let send = |node: NodeId| {
            let body = with_body.then_some(Command::SendBody(node, report.body));
            [Some(Command::Send(node, Message::Report(*report))), body]
        };
        whom.into_iter().flat_map(send).flatten().collect()
    }

    fn reported(&mut self, from: NodeId, report: Report, now_ms: u64) -> Vec<Command> {
        let is_own = from == report.node;
        let is_late = report.round + LATEST < self.kept.round;
        // The first of a round counts: who says two things of one round is not asked which.
        let is_new = self.reports.get(&from).is_none_or(|known| known.round < report.round);
        if !is_own || is_late || !is_new {
            return Vec::new();
        }
        self.reports.insert(from, report);
        self.close_if_due(now_ms)
    }

    /// A body is here.
    pub fn has_body(&mut self, body: Digest, now_ms: u64) -> Vec<Command> {
        self.bodies.insert(body);
        let mut commands = self.look_at_wanted();
        commands.extend(self.compute_state());
        commands.extend(self.close_if_due(now_ms));
        commands
    }

    /// A state is here that was fetched.
    pub fn has_state(&mut self, state: Digest, now_ms: u64) -> Vec<Command> {
        if !self.has_state && state == self.kept.state {
            return self.reach(now_ms);
        }
        match self.wanted.take_if(|wanted| wanted.result == state) {
            Some(wanted) => {
                self.results.insert(state);
                self.accept_if_allowed(wanted, now_ms)
            }
            None => Vec::new(),
        }
    }

    /// A body is here that cannot be used: it has another length, or values that are not finite.
    pub fn unfit(&mut self, body: Digest, now_ms: u64) -> Vec<Command> {
        self.unfit.insert(body);
        self.withdraw(body);
        self.close_if_due(now_ms)
    }

    /// Somebody is as far as this node, and has the state: whoever leaves is not needed there any more.
    fn is_aware(&mut self, node: NodeId, round: u64, has_state: bool) {
        if round >= self.kept.round && has_state && self.leaves {
            self.aware.insert(node);
        }
    }

    fn heard(&mut self, from: NodeId, round: u64, term: Term, leads: bool, now_ms: u64) -> Vec<Command> {
        self.highest = self.highest.max(term);
        if round < self.kept.round {
            return self.tell(from);
        }
        if round > self.kept.round {
            return vec![Command::Send(from, self.here())];
        }
        if !leads {
            return Vec::new();
        }
        if term < self.kept.promised {
            return vec![Command::Send(from, Message::Refuse { term: self.kept.promised })];
        }
        self.follow(term, now_ms)
    }

    /// What the last round came to, for somebody who has not heard.
    fn tell(&self, whom: NodeId) -> Vec<Command> {
        self.kept.decided.iter().map(|decided| Command::Send(whom, Message::Decided(decided.clone()))).collect()
    }

    /// Takes somebody for the leader.
    fn follow(&mut self, term: Term, now_ms: u64) -> Vec<Command> {
        self.step_down(term);
        let is_other = self.leader.is_none_or(|(known, _)| known != term);
        self.leader = Some((term, now_ms));
        match is_other && self.config.exchange == Exchange::Leader {
            true => self.send_report(true),
            false => Vec::new(),
        }
    }

    fn asked_to_promise(&mut self, from: NodeId, round: u64, term: Term) -> Vec<Command> {
        if round < self.kept.round {
            return self.tell(from);
        }
        if term.node != from || term < self.kept.promised {
            return vec![Command::Send(from, Message::Refuse { term: self.kept.promised })];
        }
        let mut commands = Vec::new();
        if term > self.kept.promised {
            self.step_down(term);
            self.wanted = None;
            self.kept.promised = term;
            commands.push(Command::Keep(self.kept.clone()));
        }
        let accepted = self.kept.accepted.clone().filter(|accepted| accepted.round == round);
        commands.push(Command::Send(from, Message::Promise { term, round, accepted }));
        commands
    }

    fn proposed(&mut self, from: NodeId, proposal: Proposal, now_ms: u64) -> Vec<Command> {
        if proposal.round < self.kept.round {
            return self.tell(from);
        }
        if proposal.round > self.kept.round {
            return vec![Command::Send(from, self.here())];
        }
        if proposal.term < self.kept.promised {
            return vec![Command::Send(from, Message::Refuse { term: self.kept.promised })];
        }
        if proposal.term.node != from || !self.is_fit(&proposal) {
            return Vec::new();
        }
        let mut commands = self.follow(proposal.term, now_ms);
        commands.extend(self.consider(proposal, now_ms));
        commands
    }

    /// Could it be the end of the round under way?
    fn is_fit(&self, proposal: &Proposal) -> bool {
        let contributions = &proposal.contributions;
        let is_sorted = contributions.is_sorted_by(|one, next| one.node < next.node);
        let counts = |one: &Contribution| {
            let seat = self.kept.roster.seat(one.node);
            let staleness = u64::from(one.staleness);
            let made = proposal.round.checked_sub(staleness);
            staleness <= LATEST && seat.zip(made).is_some_and(|(seat, made)| made >= seat.next)
        };
        proposal.parent == self.kept.state
            && is_sorted
            && contributions.iter().all(counts)
            && self.is_majority(contributions.iter().map(|one| one.node))
    }

    /// Accepts a proposal of a term that may be accepted: at once, or when it is found to be right.
    pub(super) fn consider(&mut self, proposal: Proposal, now_ms: u64) -> Vec<Command> {
        if self.kept.accepted.as_ref() == Some(&proposal) {
            return self.say_accepted(&proposal, now_ms);
        }
        if self.results.contains(&proposal.result) {
            return self.accept_if_allowed(proposal, now_ms);
        }
        self.wanted = Some(proposal);
        self.look_at_wanted()
    }

    /// What is accepted is on disk here, result and all: whoever may have decided it, it is not lost with the leader.
    fn accept_if_allowed(&mut self, proposal: Proposal, now_ms: u64) -> Vec<Command> {
        self.wanted = None;
        if proposal.term < self.kept.promised {
            return Vec::new();
        }
        self.kept.promised = proposal.term;
        self.kept.accepted = Some(proposal.clone());
        let mut commands = vec![Command::Keep(self.kept.clone())];
        commands.extend(self.say_accepted(&proposal, now_ms));
        commands
    }

    fn say_accepted(&mut self, proposal: &Proposal, now_ms: u64) -> Vec<Command> {
        let (round, term) = (proposal.round, proposal.term);
        match term.node == self.me {
            true => self.accepted(self.me, round, term, now_ms),
            false => vec![Command::Send(term.node, Message::Accept { round, term })],
        }
    }

    /// Computes what a proposal comes to that is to be accepted, or gets it.
    fn look_at_wanted(&self) -> Vec<Command> {
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.has_state) else { return Vec::new() };
        match self.config.exchange {
            Exchange::All if self.missing(wanted).is_empty() => vec![Command::Compute(wanted.clone())],
            Exchange::All => Vec::new(), // bodies are on their way, or asked for again
            Exchange::Leader => vec![Command::Fetch(wanted.result, self.sources(wanted.term.node))],
        }
    }

    /// Who may have something: one node first, then all others.
    fn sources(&self, first: NodeId) -> Vec<NodeId> {
        let others = self.up.iter().copied().filter(|node| *node != self.me);
        let (mut sources, others): (Vec<NodeId>, Vec<NodeId>) = others.partition(|node| *node == first);
        sources.extend(others);
        sources
    }

    /// Bodies that are not here, and who made them.
    fn missing(&self, proposal: &Proposal) -> Vec<(Digest, NodeId)> {
        let missing = proposal.contributions.iter().filter(|one| !self.bodies.contains(&one.body));
        missing.map(|one| (one.body, one.node)).collect()
    }

    /// What a proposal comes to: of [`Command::Compute`].
    pub fn computed(&mut self, proposal: &Proposal, result: Digest, now_ms: u64) -> Vec<Command> {
        if proposal.parent != self.parent_of_computed() {
            return Vec::new(); // of a round that is over
        }
        if !self.has_state {
            // It ended otherwise than this node computes. What the majority accepted is fetched.
            self.can_compute &= result == self.kept.state;
            return if self.can_compute { self.reach(now_ms) } else { self.get_state() };
        }
        self.results.insert(result);
        let mut commands = self.closed(proposal, result, now_ms);
        // Otherwise the leader is wrong, or this node is. It does not accept that.
        if let Some(wanted) = self.wanted.take_if(|wanted| wanted.result == result) {
            commands.extend(self.accept_if_allowed(wanted, now_ms));
        }
        commands
    }

    /// The state from which results are computed now.
    fn parent_of_computed(&self) -> Digest {
        match (&self.kept.decided, self.has_state) {
            (Some(decided), false) => decided.parent,
            _ => self.kept.state,
        }
    }

    /// A round has ended so.
    pub(super) fn decided(&mut self, proposal: Proposal, now_ms: u64) -> Vec<Command> {
        if proposal.round < self.kept.round {
            return Vec::new();
        }
        let is_next = proposal.round == self.kept.round && self.has_state;
        let has_result = is_next && self.results.contains(&proposal.result);
        if is_next {
            self.took_ms.push(now_ms.saturating_sub(self.begun_ms));
            let surplus = self.took_ms.len().saturating_sub(REMEMBERED);
            self.took_ms.drain(..surplus);
        }
        // Others can be asked again, unless it is the end, or they go.
        let is_usual = self.kept.roster.members().eq(proposal.roster.members());
        self.kept.round = proposal.round + 1;
        self.kept.state = proposal.result;
        self.kept.roster = proposal.roster.clone();
        self.kept.accepted = None;
        self.kept.decided = Some(proposal);
        self.aware.clear();
        (self.wanted, self.campaign) = (None, None);
        self.results.clear();
        self.can_compute = is_next;
        self.has_state = false;
        self.begun_ms = now_ms;
        self.lead_on(now_ms);
        let kept = self.kept.clone();
        self.is_usual = is_usual && !self.is_over();
        let mut commands = vec![if self.is_usual { Command::Note(kept) } else { Command::Keep(kept) }];
        commands.extend(self.prune());
        commands.extend(match has_result {
            true => self.reach(now_ms),
            false => self.get_state(),
        });
        commands
    }

    /// The state after the last decided round is here.
    fn reach(&mut self, now_ms: u64) -> Vec<Command> {
        self.has_state = true;
        let mut commands = vec![Command::Reached(self.kept.round)];
        if !self.is_usual {
            commands.insert(0, Command::Keep(self.kept.clone())); // with the state
        }
        // Work that may still count is not thrown away.
        let is_useful = self.training.is_some_and(|(round, _)| round + LATEST >= self.kept.round);
        if !is_useful {
            commands.extend(self.train());
        }
        commands.extend(self.close_if_due(now_ms));
        commands
    }

    /// Computes the state after the last decided round, or fetches it.
    fn get_state(&self) -> Vec<Command> {
        let computing = self.compute_state();
        if !computing.is_empty() || self.has_state {
            return computing;
        }
        // Before the first round, whoever began the run has its state.
        let first = self.kept.decided.as_ref().map_or(self.me, |decided| decided.term.node);
        vec![Command::Fetch(self.kept.state, self.sources(first))]
    }

    /// Where the state before and all bodies are here.
    fn compute_state(&self) -> Vec<Command> {
        let is_all = self.config.exchange == Exchange::All && self.can_compute && !self.has_state;
        match &self.kept.decided {
            Some(decided) if is_all && self.missing(decided).is_empty() => vec![Command::Compute(decided.clone())],
            _ => Vec::new(),
        }
    }

    /// Lets go of what counts no more.
    fn prune(&mut self) -> Vec<Command> {
        let round = self.kept.round;
        self.reports.retain(|_, report| report.round + LATEST >= round);
        let roster = &self.kept.roster;
        self.wishes.retain(|node, wish| match wish {
            Wish::Join { round, .. } => roster.may_join(*node, *round),
            Wish::Leave => !roster.has_left(*node),
        });
        let reported = self.reports.values().map(|report| report.body);
        let decided = self.kept.decided.iter().flat_map(|decided| decided.contributions.iter().map(|one| one.body));
        let wanted: BTreeSet<Digest> = reported.chain(decided).collect();
        let (kept, gone) = self.bodies.iter().partition(|body| wanted.contains(body));
        self.bodies = kept;
        let gone: Vec<Digest> = gone.into_iter().collect::<BTreeSet<Digest>>().into_iter().collect();
        if gone.is_empty() { Vec::new() } else { vec![Command::Drop(gone)] }
    }

    /// What was not answered, and a word to one of the others.
    pub(super) fn say_again(&mut self) -> Vec<Command> {
        let mut commands = self.lead_again();
        if !self.has_state {
            commands.extend(self.get_state());
        } else {
            commands.extend(self.send_report(false));
        }
        commands.extend(self.want_again());
        let round = self.kept.round;
        if let Some(rows) = self.joins.filter(|_| !self.kept.roster.has(self.me)) {
            commands.extend(
                self.sources(self.me).into_iter().map(|node| Command::Send(node, Message::Join { rows, round })),
            );
        }
        if self.leaves {
            commands.extend(self.to_others(&Message::Leave));
        }
        let others: Vec<NodeId> = self.up.iter().copied().filter(|node| *node != self.me).collect();
        if let Some(node) = usize::try_from(self.rng.below(others.len().max(1) as u64)).ok().and_then(|i| others.get(i))
        {
            commands.push(Command::Send(*node, self.here()));
        }
        commands
    }

    /// What is missing for a proposal that is to be accepted.
    fn want_again(&self) -> Vec<Command> {
        let Some(wanted) = &self.wanted else { return Vec::new() };
        match self.config.exchange {
            Exchange::All => {
                let missing = self.missing(wanted).into_iter();
                let bodies = missing.map(|(body, node)| Command::Fetch(body, self.sources(node)));
                // A body may be lost with those who had it. Who has accepted the proposal has what came of it.
                let result = Command::Fetch(wanted.result, self.sources(wanted.term.node));
                bodies.chain([result]).collect()
            }
            Exchange::Leader => self.look_at_wanted(),
        }
    }
}
