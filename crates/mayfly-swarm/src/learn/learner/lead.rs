//! A node that wants to lead, and one that does.

use super::{Command, Learner, Wish};
use crate::learn::share::LATEST;
use crate::learn::{Contribution, Digest, Message, Proposal, Report, Roster, Seat, Term};
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// A node that asks for promises.
#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) term: Term,
    /// Who has promised, and what each had accepted.
    pub(super) promises: BTreeMap<NodeId, Option<Proposal>>,
    begun_ms: u64,
}

/// A node that leads.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) term: Term,
    /// How the round under way is to end; without a result, while it is computed.
    closing: Option<Proposal>,
    is_proposed: bool,
    accepts: BTreeSet<NodeId>,
    /// Since when it proposes.
    since_ms: u64,
}

impl Learner {
    /// Of the members that are up, the one with the highest hash: another one for each run.
    fn first(&self) -> Option<NodeId> {
        let weight = |node: &NodeId| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.config.run.0).update(&node.0);
            *hasher.finalize().as_bytes()
        };
        self.kept.roster.members().filter(|node| self.up.contains(node)).max_by_key(weight)
    }

    /// Nobody leads, as far as this node knows.
    fn is_leaderless(&self, now_ms: u64) -> bool {
        match self.leader {
            Some((_, heard_ms)) => now_ms >= heard_ms + self.config.patience_ms,
            // Before all are there, the first of them may not be the one.
            None => {
                let is_whole = self.kept.roster.members().all(|node| self.up.contains(&node));
                is_whole || now_ms >= self.quiet_since_ms + self.config.patience_ms
            }
        }
    }

    pub(super) fn campaign_if_due(&mut self, now_ms: u64) -> Vec<Command> {
        let is_waiting = self.campaign.as_ref().is_some_and(|one| now_ms < one.begun_ms + self.config.patience_ms);
        let may_lead = self.has_state && self.leading.is_none() && !self.is_over();
        if !may_lead || is_waiting || self.first() != Some(self.me) || !self.is_leaderless(now_ms) {
            return Vec::new();
        }
        if !self.is_majority(self.up.iter().copied()) {
            return Vec::new();
        }
        let term = Term { count: self.highest.max(self.kept.promised).count + 1, node: self.me };
        (self.highest, self.kept.promised) = (term, term);
        let promises = [(self.me, self.kept.accepted.clone())].into_iter().collect();
        self.campaign = Some(Campaign { term, promises, begun_ms: now_ms });
        let mut commands = vec![Command::Keep(self.kept.clone())];
        commands.extend(self.to_others(&Message::Prepare { round: self.kept.round, term }));
        commands.extend(self.lead_if_elected(now_ms));
        commands
    }

    /// What another leader had proposed may be in nobody's hands any more. A majority that promises anew may say that nobody has accepted it.
    pub(super) fn give_up_if_stuck(&mut self, now_ms: u64) {
        let is_stuck = |leading: &mut Leading| {
            leading.is_proposed && now_ms >= leading.since_ms + self.config.patience_ms && self.wanted.is_some()
        };
        if self.leading.take_if(is_stuck).is_some() {
            (self.leader, self.wanted) = (None, None);
        }
    }

    pub(super) fn is_majority(&self, nodes: impl Iterator<Item = NodeId>) -> bool {
        self.kept.roster.is_majority(self.config.max_share, nodes)
    }

    pub(super) fn promised(
        &mut self,
        from: NodeId,
        (term, round): (Term, u64),
        accepted: Option<Proposal>,
        now_ms: u64,
    ) -> Vec<Command> {
        match &mut self.campaign {
            Some(campaign) if campaign.term == term && round == self.kept.round => {
                campaign.promises.insert(from, accepted);
                self.lead_if_elected(now_ms)
            }
            _ => Vec::new(),
        }
    }

    fn lead_if_elected(&mut self, now_ms: u64) -> Vec<Command> {
        let is_elected =
            self.campaign.as_ref().is_some_and(|campaign| self.is_majority(campaign.promises.keys().copied()));
        let Some(campaign) = self.campaign.take_if(|_| is_elected) else { return Vec::new() };
        let term = campaign.term;
        self.leader = Some((term, now_ms));
        self.leading =
            Some(Leading { term, closing: None, is_proposed: false, accepts: BTreeSet::new(), since_ms: now_ms });
        let mut commands = self.to_others(&self.here());
        // What may have been decided already is what has to be decided.
        let accepted = campaign.promises.into_values().flatten().max_by_key(|proposal| proposal.term);
        match accepted {
            Some(proposal) => commands.extend(self.propose(Proposal { term, ..proposal }, now_ms)),
            None => commands.extend(self.close_if_due(now_ms)),
        }
        commands
    }

    /// Somebody has a higher term.
    pub(super) fn step_down(&mut self, term: Term) {
        self.highest = self.highest.max(term);
        self.campaign.take_if(|campaign| campaign.term < term);
        self.leading.take_if(|leading| leading.term < term);
        self.leader.take_if(|(own, _)| *own < term);
    }

    /// Does a report count in the round under way, and of how many rounds before is it?
    pub(super) fn counts(&self, report: &Report) -> Option<u8> {
        let seat = self.kept.roster.seat(report.node)?;
        let late = self.kept.round.checked_sub(report.round)?;
        let is_of_this = late > 0 || report.parent == self.kept.state;
        (late <= LATEST && report.round >= seat.next && is_of_this).then_some(u8::try_from(late).ok()?)
    }

    /// What could be in a proposal now.
    fn contributions(&self) -> Vec<Contribution> {
        let contribution = |report: &Report| {
            let is_here = self.bodies.contains(&report.body) && !self.unfit.contains(&report.body);
            let staleness = self.counts(report).filter(|_| is_here)?;
            Some(Contribution { node: report.node, body: report.body, rows: report.rows, staleness })
        };
        self.reports.values().filter_map(contribution).collect()
    }

    /// Closes the round, if this node leads and it is time.
    pub(super) fn close_if_due(&mut self, now_ms: u64) -> Vec<Command> {
        if !self.has_state || self.is_over() || self.leading.as_ref().is_none_or(|leading| leading.closing.is_some()) {
            return Vec::new();
        }
        let contributions = self.contributions();
        let reported: BTreeSet<NodeId> = contributions.iter().map(|one| one.node).collect();
        let is_whole = match self.config.min_reports {
            Some(least) => reported.len() >= least,
            None => self.others().into_iter().chain([self.me]).all(|node| reported.contains(&node)),
        };
        let is_time = now_ms >= self.begun_ms + self.longest_ms();
        if !self.is_majority(reported.into_iter()) || !(is_whole || is_time) {
            return Vec::new();
        }
        let roster = self.next_roster(&contributions);
        let Some(leading) = &mut self.leading else { return Vec::new() };
        let (round, parent, term) = (self.kept.round, self.kept.state, leading.term);
        let proposal = Proposal { round, parent, term, contributions, roster, result: Digest::default() };
        leading.closing = Some(proposal.clone());
        vec![Command::Compute(proposal)]
    }

    /// How long a round may take before it is closed without those who have not reported.
    fn longest_ms(&self) -> u64 {
        let mut took = self.took_ms.clone();
        took.sort_unstable();
        let median = took.get(took.len() / 2).copied().unwrap_or(0);
        (median + median / 2).max(self.config.least_round_ms)
    }

    /// Who takes part after this round.
    fn next_roster(&self, contributions: &[Contribution]) -> Roster {
        let mut roster = self.kept.roster.clone();
        let round = self.kept.round;
        for one in contributions {
            roster.set(one.node, Seat { rows: one.rows, next: round - u64::from(one.staleness) + 1 });
        }
        for node in self.kept.roster.members().filter(|node| !self.up.contains(node)) {
            let is_gone = roster.seat(node).is_some_and(|seat| seat.next + self.config.rounds_down <= round);
            if is_gone {
                roster.remove(node);
            }
        }
        for (node, wish) in &self.wishes {
            match wish {
                Wish::Join { rows, round: since } if roster.may_join(*node, *since) => {
                    roster.set(*node, Seat { rows: *rows, next: round + 1 });
                }
                Wish::Join { .. } => {}
                // Somebody stays: nobody could let others in again.
                Wish::Leave if roster.members().any(|other| other != *node) => roster.leave(*node, round),
                Wish::Leave => {}
            }
        }
        roster
    }

    /// What comes of the contributions that this node wants to propose.
    pub(super) fn closed(&mut self, computed: &Proposal, result: Digest, now_ms: u64) -> Vec<Command> {
        let is_it = |leading: &Leading| !leading.is_proposed && leading.closing.as_ref() == Some(computed);
        if !self.leading.as_ref().is_some_and(is_it) {
            return Vec::new();
        }
        self.propose(Proposal { result, ..computed.clone() }, now_ms)
    }

    /// Accepts it here, and asks the others to.
    fn propose(&mut self, proposal: Proposal, now_ms: u64) -> Vec<Command> {
        let Some(leading) = &mut self.leading else { return Vec::new() };
        leading.closing = Some(proposal.clone());
        leading.is_proposed = true;
        leading.accepts = BTreeSet::new();
        leading.since_ms = now_ms;
        let mut commands = self.to_others(&Message::Propose(proposal.clone()));
        commands.extend(self.consider(proposal, now_ms));
        commands
    }

    pub(super) fn accepted(&mut self, from: NodeId, round: u64, term: Term, now_ms: u64) -> Vec<Command> {
        let is_this = round == self.kept.round;
        let Some(leading) = self.leading.as_mut().filter(|leading| is_this && leading.term == term) else {
            return Vec::new();
        };
        leading.accepts.insert(from);
        let accepts = leading.accepts.clone();
        let Some(proposal) = leading.closing.clone().filter(|_| leading.is_proposed) else { return Vec::new() };
        if !self.is_majority(accepts.into_iter()) {
            return Vec::new();
        }
        // Also to those who come with it.
        let whom: BTreeSet<NodeId> = self.kept.roster.members().chain(proposal.roster.members()).collect();
        let others = whom.into_iter().filter(|node| *node != self.me && self.up.contains(node));
        let mut commands: Vec<Command> =
            others.map(|node| Command::Send(node, Message::Decided(proposal.clone()))).collect();
        commands.extend(self.decided(proposal, now_ms));
        commands
    }

    /// The next round begins, with whoever is on the roster now.
    pub(super) fn lead_on(&mut self, now_ms: u64) {
        if self.leader().is_some_and(|leader| !self.kept.roster.has(leader)) {
            self.leading = None;
            self.forget_leader(now_ms);
        }
        if let Some(leading) = &mut self.leading {
            (leading.closing, leading.is_proposed) = (None, false);
            leading.accepts.clear();
        }
    }

    /// What was not answered.
    pub(super) fn lead_again(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        if let Some(campaign) = &self.campaign {
            let prepare = Message::Prepare { round: self.kept.round, term: campaign.term };
            let silent = self.others().into_iter().filter(|node| !campaign.promises.contains_key(node));
            commands.extend(silent.map(|node| Command::Send(node, prepare.clone())));
        }
        let Some(leading) = &self.leading else { return commands };
        commands.extend(self.to_others(&self.here()));
        if let Some(proposal) = leading.closing.as_ref().filter(|_| leading.is_proposed) {
            let silent = self.others().into_iter().filter(|node| !leading.accepts.contains(node));
            commands.extend(silent.map(|node| Command::Send(node, Message::Propose(proposal.clone()))));
        }
        let is_missing = |report: &&Report| self.counts(report).is_some() && !self.bodies.contains(&report.body);
        let missing = self.reports.values().filter(is_missing);
        commands.extend(missing.map(|report| Command::Fetch(report.body, vec![report.node])));
        commands
    }

    /// A contribution cannot be used: the round is closed without it.
    pub(super) fn withdraw(&mut self, body: Digest) {
        let is_in = |closing: &Proposal| closing.contributions.iter().any(|one| one.body == body);
        if let Some(leading) = &mut self.leading
            && !leading.is_proposed
        {
            leading.closing.take_if(|closing| is_in(closing));
        }
    }
}
