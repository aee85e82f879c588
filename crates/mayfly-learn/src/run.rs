//! The record of a run: what all who take part have in common.

use crate::state::{ModelState, Mover};
use crate::{Bounds, LearnError, Mode, Result};
use mayfly_format::data::Encoder;
use mayfly_nn::{BatchRows, Network, NetworkSpec, Schedule, TrainConfig};
use mayfly_swarm::learn::{Digest, LearnerConfig, Outer};
use serde::{Deserialize, Serialize};

/// A run's name: BLAKE3 over its record.
pub type RunId = Digest;

/// The version of records that is written and read here.
const VERSION: u32 = 1;
/// Most members of a run: all to all is for small swarms, and larger ones need trees that are not there yet.
pub const MEMBERS: usize = 32;
/// Most bytes of a record: it travels in one message.
pub(crate) const RECORD_BYTES: usize = 2 << 20;

/// What is trained, how, and from where. Whoever has another record is in another run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    version: u32,
    /// For people.
    pub name: String,
    /// Who exchanges what.
    pub mode: Mode,
    /// Rounds.
    pub rounds: u64,
    /// Steps at each node between two rounds.
    pub local_steps: u64,
    /// In mode auto: steps of each node, after which the run ends if it has not before; `local_steps` are the most between two rounds.
    pub steps: Option<u64>,
    /// What the mean of a round's updates does to the network; not used in `sync`.
    pub outer: Outer,
    /// How strongly a node is pulled towards where the round began.
    pub proximal: f32,
    /// Nobody counts for more of a round, from three members on.
    pub max_share: f64,
    /// A round is closed when so many have reported; without it, when all that are up have.
    pub min_reports: Option<usize>,
    /// The network.
    pub network: NetworkSpec,
    /// How each node trains it. The number of threads is each node's own matter.
    pub config: TrainConfig,
    /// How raw rows become inputs.
    pub encoder: Encoder,
    /// The state that it starts from.
    pub first: Digest,
}

impl Run {
    /// A run from a network as it is, in a mode with its usual settings. The learning rate stays as it is, whatever the schedule says.
    pub fn new(name: &str, mode: Mode, rounds: u64, network: &Network, config: &TrainConfig, encoder: Encoder) -> Self {
        let config =
            TrainConfig { schedule: Schedule::Constant, patience: None, stop: None, threads: 1, ..config.clone() };
        let mut run = Self {
            version: VERSION,
            name: name.to_owned(),
            mode,
            rounds,
            local_steps: mode.local_steps(),
            steps: None,
            outer: mode.outer(),
            proximal: mode.proximal(),
            max_share: 0.5,
            min_reports: None,
            network: network.spec().clone(),
            config,
            encoder,
            first: Digest::default(),
        };
        run.first = run.first_state(network).digest();
        run
    }

    /// In mode auto, an end after so many steps of each node. The first state goes with it.
    #[must_use]
    pub fn with_steps(mut self, local_steps: u64, total: Option<u64>, network: &Network) -> Self {
        (self.local_steps, self.steps) = (local_steps, total);
        self.first = self.first_state(network).digest();
        self
    }

    /// Another way to use the mean. The first state goes with it.
    #[must_use]
    pub fn with_outer(mut self, outer: Outer, network: &Network) -> Self {
        self.outer = outer;
        self.first = self.first_state(network).digest();
        self
    }

    /// The state that it starts from, of the network that it was made of.
    pub fn first_state(&self, network: &Network) -> ModelState {
        ModelState::first(&self.mover(), network.params())
    }

    /// What moves the network from round to round.
    pub fn mover(&self) -> Mover {
        match self.mode {
            Mode::Sync => Mover::Optimiser(self.config.algorithm.clone()),
            Mode::Auto => Mover::Paced(self.outer, Bounds { most: self.local_steps, total: self.steps }),
            _ => Mover::Outer(self.outer),
        }
    }

    /// Rows of a step.
    pub fn batch(&self) -> BatchRows {
        self.config.batch
    }

    /// How the core goes about it.
    pub fn learner_config(&self, id: RunId) -> LearnerConfig {
        LearnerConfig {
            run: id,
            rounds: self.rounds,
            exchange: self.mode.exchange(),
            max_share: self.max_share,
            min_reports: self.min_reports,
            ..LearnerConfig::default()
        }
    }

    /// The record as bytes: those that the id is over.
    ///
    /// # Errors
    /// [`LearnError::Record`] for settings that have no form, or a record that is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).map_err(|error| LearnError::Record { reason: error.to_string() })?;
        match bytes.len() > RECORD_BYTES {
            true => Err(LearnError::Length { what: "the record of the run", want: RECORD_BYTES, got: bytes.len() }),
            false => Ok(bytes),
        }
    }

    /// A record from bytes that are called by an id.
    ///
    /// # Errors
    /// [`LearnError::Digest`] for others, [`LearnError::Record`] for what is no record, [`LearnError::Option`] for settings that make no sense.
    pub fn from_bytes(bytes: &[u8], id: RunId) -> Result<Self> {
        let got = Digest::of(bytes);
        if got != id {
            return Err(LearnError::Digest { what: "the record of the run", want: id, got });
        }
        let run: Self =
            serde_json::from_slice(bytes).map_err(|error| LearnError::Record { reason: error.to_string() })?;
        if run.version != VERSION {
            let reason = format!("it is of version {}, and this program reads version {VERSION}", run.version);
            return Err(LearnError::Record { reason });
        }
        run.check()?;
        Ok(run)
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`LearnError::Option`].
    pub fn check(&self) -> Result<()> {
        let refuse = |option, got: String, want: &str| Err(LearnError::option(option, got, want));
        self.mode.check(self.rounds, self.local_steps, self.outer.rate(), self.max_share)?;
        if !(self.proximal >= 0.0 && self.proximal.is_finite()) {
            return refuse("proximal", self.proximal.to_string(), "0 or more is wanted");
        }
        if self.steps == Some(0) || (self.steps.is_some() && self.mode != Mode::Auto) {
            return refuse("steps", format!("{:?}", self.steps), "a number above 0 is wanted, and only in mode auto");
        }
        if self.config.schedule != Schedule::Constant {
            return refuse("schedule", format!("{:?}", self.config.schedule), "a constant rate is wanted");
        }
        if self.config.algorithm.is_fann() {
            let want = "FANN's algorithms need all rows in one place; choose adamw, adam, sgd or another one";
            return refuse("algorithm", self.config.algorithm.name().into(), want);
        }
        if self.batch() == BatchRows::Full && self.mode != Mode::Sync {
            return refuse("batch", "all rows".into(), "a number of rows is wanted");
        }
        Ok(())
    }
}
