//! A node's own work between two rounds: the trainer of `mayfly_nn` on the node's rows.

use crate::shard::{Cursor, Place};
use crate::state::ModelState;
use crate::{Body, LearnError, Mode, Result, Run};
use mayfly_nn::{BatchRows, InMemory, Network, Penalty, Trainer};
use serde::{Deserialize, Serialize};

/// A node's trainer, and where it is in its rows.
pub struct Local {
    run: Run,
    trainer: Trainer,
    cursor: Cursor,
    /// What the last work that was finished left: work that is given up leaves nothing.
    saved: Saved,
}

/// What a node has of its own between two rounds, besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Where in its rows it is.
    pub place: Place,
    /// Steps of its optimiser.
    pub steps: u64,
    /// The optimiser's state; in mode `sync` that belongs to all.
    pub arrays: [Vec<f32>; 2],
}

/// What came of some work.
#[derive(Clone, Debug, PartialEq)]
pub struct Worked {
    /// To be sent.
    pub body: Body,
    /// The mean loss of its batches, each before its step.
    pub loss: f64,
}

/// A network of the run's kind, with any parameters.
pub(crate) fn network_of(run: &Run) -> Result<Network> {
    Ok(Network::new(run.network.clone(), run.config.seed)?)
}

impl Local {
    /// At the beginning of a run.
    ///
    /// # Errors
    /// Rows that do not fit the network, and settings that make no sense.
    pub fn new(run: &Run, rows: InMemory) -> Result<Self> {
        run.check()?;
        let batch = match run.batch() {
            BatchRows::Rows(rows) => rows,
            BatchRows::Full => rows.len(),
        };
        let trainer = Trainer::new(network_of(run)?, run.config.clone())?;
        let mut local = Self {
            cursor: Cursor::new(rows, batch, run.config.seed)?,
            run: run.clone(),
            trainer,
            saved: Saved::default(),
        };
        local.saved = local.save();
        Ok(local)
    }

    /// Rows of this node.
    pub fn rows(&self) -> u64 {
        self.cursor.rows() as u64
    }

    /// Parameters of the network.
    pub(crate) fn len(&self) -> usize {
        self.trainer.network().params().len()
    }

    /// What there is to go on with, after the last work that was finished.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Goes on from what was saved.
    ///
    /// # Errors
    /// Something saved by a run of another kind.
    pub fn restore(&mut self, saved: Saved) -> Result<()> {
        self.cursor.seek(saved.place)?;
        if self.run.mode != Mode::Sync {
            let [first, second] = &saved.arrays;
            self.trainer.restore_optimiser(saved.steps, first, second)?;
        }
        self.saved = saved;
        Ok(())
    }

    fn save(&self) -> Saved {
        let optimiser = self.trainer.optimiser();
        let is_own = self.run.mode != Mode::Sync;
        let arrays = if is_own { optimiser.state().map(<[f32]>::to_vec) } else { Default::default() };
        Saved { place: self.cursor.place(), steps: if is_own { optimiser.steps() } else { 0 }, arrays }
    }

    /// The work of a round, from a state. Nothing when `goes_on` says that it is given up, after which the next work begins where this one did.
    ///
    /// # Errors
    /// A training that diverges: the next work begins where this one did, but with an optimiser that has no past.
    pub fn work(&mut self, state: &ModelState, is_alone: bool, goes_on: &dyn Fn() -> bool) -> Result<Option<Worked>> {
        let done = match self.run.mode {
            Mode::Sync => self.gradient(state).map(Some),
            _ => self.steps(state, is_alone, goes_on),
        };
        match done {
            Ok(Some(worked)) => {
                self.saved = self.save();
                return Ok(Some(worked));
            }
            Ok(None) => {}
            Err(_) => {
                self.saved.steps = 0;
                self.saved.arrays.iter_mut().for_each(|array| array.fill(0.0));
            }
        }
        let saved = self.saved.clone();
        self.restore(saved)?;
        done
    }

    fn gradient(&mut self, state: &ModelState) -> Result<Worked> {
        self.trainer.set_params(state.params())?;
        let (x, t) = self.cursor.next_batch()?;
        let loss = self.trainer.gradient_on(x, t)?;
        Ok(Worked { body: Body::Update(self.trainer.gradient().to_vec()), loss: f64::from(loss) })
    }

    fn steps(&mut self, state: &ModelState, is_alone: bool, goes_on: &dyn Fn() -> bool) -> Result<Option<Worked>> {
        let start = state.params();
        self.trainer.set_params(start)?;
        if self.run.proximal > 0.0 {
            self.trainer.set_penalty(Some(Penalty::new(self.run.proximal, start)))?;
        }
        let (mut loss, count) = (0.0, state.pace().map_or(self.run.local_steps, |pace| pace.steps));
        for _ in 0..count {
            if !goes_on() {
                return Ok(None);
            }
            let (x, t) = self.cursor.next_batch()?;
            loss += f64::from(self.trainer.step(x, t)?);
        }
        let params = self.trainer.network().params();
        if !params.iter().all(|value| value.is_finite()) {
            return Err(LearnError::NotFinite);
        }
        let body = match is_alone {
            true => Body::Whole(params.to_vec()),
            false => Body::Update(params.iter().zip(start).map(|(new, old)| new - old).collect()),
        };
        Ok(Some(Worked { body, loss: loss / count as f64 }))
    }
}
