//! A host: its disk, and the learner while it is up.

use crate::learn::{Command, Digest, Kept, Learner, LearnerConfig, Message};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng, mix};

/// What a kill leaves.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) kept: Kept,
    pub(super) states: BTreeMap<Digest, Vec<u8>>,
    /// What a loss of power leaves.
    flushed: (Kept, BTreeSet<Digest>),
}

impl Disk {
    /// Is what a message promises on the disk?
    pub(super) fn holds(&self, message: &Message) -> bool {
        match message {
            Message::Promise { term, .. } => self.flushed.0.promised >= *term,
            Message::Accept { round, term } => {
                let (kept, states) = &self.flushed;
                let accepted = kept.accepted.as_ref();
                let is_it = accepted.is_some_and(|one| one.round == *round && one.term == *term);
                is_it && accepted.is_some_and(|one| states.contains(&one.result))
            }
            _ => true,
        }
    }
}

pub(super) struct Host {
    pub(super) id: NodeId,
    pub(super) disk: Disk,
    pub(super) learner: Option<Learner>,
    /// Bodies, and states that are not on the disk yet.
    pub(super) bytes: BTreeMap<Digest, Vec<u8>>,
    /// Rises with every start: what was meant for a life before is not delivered.
    pub(super) life: u64,
    /// Its rows, with which it asks to be let in.
    rows: u64,
    pub(super) group: u8,
    pub(super) slowness: u64,
    /// It wants to go; that is on its disk.
    pub(super) leaves: bool,
    /// It has gone, and is not started again.
    pub(super) is_gone: bool,
    /// When the next wake-up is set for.
    pub(super) wake_ms: u64,
}

impl Host {
    pub(super) fn new(seed: u64, i: usize) -> Self {
        let word = |k: u64| mix(mix(seed ^ 0x6c65_6172) ^ mix(i as u64 * 8 + k)).to_le_bytes();
        let mut id = [0; 32];
        id.chunks_exact_mut(8).zip(0..).for_each(|(bytes, k)| bytes.copy_from_slice(&word(k)));
        let (disk, learner, bytes) = (Disk::default(), None, BTreeMap::new());
        Self {
            id: NodeId(id),
            disk,
            learner,
            bytes,
            life: 0,
            rows: 0,
            group: 0,
            slowness: 1,
            leaves: false,
            is_gone: false,
            wake_ms: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.learner.is_some()
    }

    /// The beginning of a run, with its state at whoever began it.
    pub(super) fn found(&mut self, kept: Kept, state: Option<Vec<u8>>, rows: u64) {
        self.rows = rows;
        let states: BTreeMap<Digest, Vec<u8>> = state.map(|state| (kept.state, state)).into_iter().collect();
        let flushed = (kept.clone(), states.keys().copied().collect());
        self.disk = Disk { states, kept, flushed };
    }

    pub(super) fn start(&mut self, seed: u64, config: LearnerConfig, now_ms: u64) -> Vec<Command> {
        self.life += 1;
        // What it tells the learner that it has, it keeps, whatever is accepted meanwhile.
        (self.wake_ms, self.bytes) = (0, self.disk.states.clone());
        let rng = Rng::stream(mix(seed ^ self.life), u64::from_le_bytes(self.id.0[..8].try_into().unwrap_or_default()));
        let states: Vec<Digest> = self.disk.states.keys().copied().collect();
        let mut learner = Learner::new(self.id, config, self.disk.kept.clone(), states, rng, now_ms);
        learner.join(self.rows);
        let mut commands = learner.start();
        if self.leaves {
            commands.extend(learner.leave());
        }
        self.learner = Some(learner);
        commands
    }

    pub(super) fn kill(&mut self) {
        self.learner = None;
        self.bytes.clear();
    }

    /// As a kill, and what was not flushed is gone too.
    pub(super) fn lose_power(&mut self) {
        self.kill();
        let (kept, states) = &self.disk.flushed;
        self.disk.kept = kept.clone();
        self.disk.states.retain(|digest, _| states.contains(digest));
    }

    /// A body or a state.
    pub(super) fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        self.bytes.get(&digest).or_else(|| self.disk.states.get(&digest)).cloned()
    }

    /// What is kept, and the states that it speaks of, flushed.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.note(kept);
        let states = self.disk.states.keys().copied().collect();
        self.disk.flushed = (self.disk.kept.clone(), states);
    }

    /// What is kept, as long as there is power.
    pub(super) fn note(&mut self, kept: Kept) {
        for digest in spoken_of(&kept) {
            if let Some(state) = self.bytes.get(&digest) {
                self.disk.states.insert(digest, state.clone());
            }
        }
        let flushed = &self.disk.flushed.0;
        let kept_states: BTreeSet<Digest> = spoken_of(&kept).chain(spoken_of(flushed)).collect();
        self.disk.states.retain(|digest, _| kept_states.contains(digest));
        self.disk.kept = kept;
    }

    /// The state after the last decided round is here.
    pub(super) fn reached(&mut self) {
        let kept = self.disk.kept.clone();
        self.note(kept);
    }

    pub(super) fn is_over(&self) -> bool {
        self.learner.as_ref().is_some_and(|learner| learner.is_over() && learner.has_caught_up())
    }
}

/// The state of a round, what was accepted for the next, and the state before, from which the one after is computed until that is here.
fn spoken_of(kept: &Kept) -> impl Iterator<Item = Digest> {
    let parent = kept.decided.as_ref().map(|decided| decided.parent);
    [Some(kept.state), kept.accepted.as_ref().map(|accepted| accepted.result), parent].into_iter().flatten()
}
