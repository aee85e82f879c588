//! How nodes learn together: a mode, and what is not as usual in it.

use crate::{LearnError, Mode, Result, Run};
use mayfly_format::data::Encoder;
use mayfly_nn::tabular::TrainOptions;
use mayfly_nn::{AdamW, Algorithm, BatchRows, Network, Sgd, TrainConfig};
use serde::{Deserialize, Serialize};

/// The rate of gradient descent in mode auto, and the bound on a gradient's length.
const AUTO_LR: f32 = 0.1;
const AUTO_CLIP: f32 = 1.0;

/// What is asked of a run besides its network. What is not said is as usual in the mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct How {
    /// Who exchanges what.
    pub mode: Mode,
    /// Passes over all rows, where rounds are not given.
    pub epochs: u64,
    /// Rounds.
    pub rounds: Option<u64>,
    /// Steps at each node between two rounds.
    pub local_steps: Option<u64>,
    /// The rate of the outer step.
    pub outer_lr: Option<f64>,
    /// A round is closed when so many have reported.
    pub min_reports: Option<usize>,
    /// Nobody counts for more of a round, from three members on.
    pub max_share: f64,
}

impl Default for How {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            epochs: 15,
            rounds: None,
            local_steps: None,
            outer_lr: None,
            min_reports: None,
            max_share: 0.5,
        }
    }
}

impl How {
    /// How each node trains: in mode auto by gradient descent without a momentum, which is that of the outer step.
    ///
    /// # Errors
    /// [`LearnError::Option`] for batches of all rows where nodes take several steps, and for another algorithm in mode auto: steps of Adam are of one length, however few of them are taken between two exchanges, and the outer
    /// momentum makes too much of them.
    pub fn inner(&self, config: &TrainConfig, options: &TrainOptions) -> Result<TrainConfig> {
        if options.batch == Some(0) && self.mode != Mode::Sync {
            return Err(LearnError::option("batch", 0, "a number of rows is wanted, but in mode sync"));
        }
        if self.mode != Mode::Auto {
            return Ok(config.clone());
        }
        if let Some(name) = options.algorithm.as_ref().filter(|name| *name != "sgd") {
            let want = "mode auto trains by gradient descent; other algorithms go with mode local";
            return Err(LearnError::option("algorithm", name, want));
        }
        // As much decay a step as AdamW makes of it at its rate.
        let weight_decay = options.weight_decay.map_or(0.0, |decay| decay * AdamW::default().lr / AUTO_LR);
        let sgd = Sgd { lr: options.lr.unwrap_or(AUTO_LR), momentum: 0.0, nesterov: false, weight_decay };
        Ok(TrainConfig { algorithm: Algorithm::Sgd(sgd), clip_norm: Some(AUTO_CLIP), ..config.clone() })
    }

    /// Steps at each node between two rounds.
    pub fn local_steps(&self) -> u64 {
        self.local_steps.unwrap_or_else(|| self.mode.local_steps())
    }

    /// Refuses settings that make no sense.
    pub(crate) fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(LearnError::option("epochs", 0, "at least 1 is wanted"));
        }
        self.mode.check(self.rounds.unwrap_or(1), self.local_steps(), self.outer_lr.unwrap_or(1.0), self.max_share)
    }

    /// Rounds after which `members` nodes together have passed `rows` rows as often as is asked for. In mode auto so many steps of each node, and as many rounds at most.
    pub fn rounds(&self, config: &TrainConfig, members: usize, rows: u64) -> u64 {
        let batch = match config.batch {
            BatchRows::Rows(batch) => batch as u64,
            BatchRows::Full => rows,
        };
        let steps = if self.mode == Mode::Auto { 1 } else { self.local_steps() };
        let a_round = batch.saturating_mul(steps).saturating_mul(members as u64).max(1);
        self.rounds.unwrap_or_else(|| self.epochs.saturating_mul(rows).div_ceil(a_round).max(1))
    }

    /// The record of a run of so many rounds.
    pub fn run(&self, name: &str, rounds: u64, network: &Network, config: &TrainConfig, encoder: Encoder) -> Run {
        let mut run = Run::new(name, self.mode, rounds, network, config, encoder);
        match self.mode {
            Mode::Auto => run = run.with_steps(self.local_steps(), self.rounds.is_none().then_some(rounds), network),
            _ => run.local_steps = self.local_steps(),
        }
        run.min_reports = self.min_reports;
        run.max_share = self.max_share;
        match self.outer_lr {
            Some(rate) => {
                let outer = run.outer.with_rate(rate);
                run.with_outer(outer, network)
            }
            None => run,
        }
    }
}
