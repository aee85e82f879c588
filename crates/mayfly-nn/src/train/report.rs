//! What a training tells while it runs and when it ends.
use serde::{Deserialize, Serialize};

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop now; the best weights so far are kept.
    Stop,
}

/// Watches a training. A closure `FnMut(&EpochReport) -> Control` is one that hears of epochs; `()` does not look and lets it run.
pub trait Observer {
    /// After each epoch.
    fn epoch(&mut self, report: &EpochReport) -> Control;

    /// After each step.
    fn batch(&mut self, _report: &BatchReport) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(&EpochReport) -> Control> Observer for F {
    fn epoch(&mut self, report: &EpochReport) -> Control {
        self(report)
    }
}

impl Observer for () {
    fn epoch(&mut self, _report: &EpochReport) -> Control {
        Control::Continue
    }
}

/// How far an epoch has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchReport {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Rows seen in this epoch.
    pub rows: usize,
    /// The loss of the step's rows.
    pub loss: f64,
}

/// An epoch's figures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Mean over the rows of the loss that each had when its step was taken.
    #[serde(with = "crate::bits")]
    pub train_loss: f64,
    /// Mean loss of the validation rows after the epoch.
    #[serde(with = "crate::bits::option")]
    pub validation_loss: Option<f64>,
    /// FANN's mean square error of the training rows, each measured when its step was taken; only where FANN's algorithms, losses or stop functions are used.
    #[serde(with = "crate::bits::option")]
    pub mse: Option<f64>,
    /// How many training outputs were off by FANN's limit or more.
    pub bit_fail: Option<usize>,
    /// Rows trained on.
    pub rows: usize,
    /// The factor that the schedule put on the learning rate at the end of the epoch.
    pub rate: f32,
    /// Whether this is the best epoch so far: that with the lowest loss of the validation rows, or, without such, the lowest training loss.
    pub is_best: bool,
}

impl EpochReport {
    /// The loss that decides: the validation's where there is one.
    pub fn loss(&self) -> f64 {
        self.validation_loss.unwrap_or(self.train_loss)
    }
}

/// Why a training ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// All epochs were run.
    Epochs,
    /// The loss had not become lower for too long.
    Patience,
    /// The stop function's aim was reached.
    Reached,
    /// The observer said so.
    Requested,
}

/// A training's figures.
#[derive(Clone, PartialEq, Debug)]
pub struct FitReport {
    /// Why it ended.
    pub stopped: Stopped,
    /// The epoch whose weights the network has now, from 1; 0 if there was none. Where an epoch is one step and there are no validation rows, these are the
    /// weights whose loss the epoch reports, those it began with; only the weights after the last epoch count as that epoch's, if they are better still.
    pub best_epoch: u64,
    /// Every epoch, those before a checkpoint included.
    pub epochs: Vec<EpochReport>,
}

impl FitReport {
    /// The epoch whose weights the network has now.
    pub fn best(&self) -> Option<&EpochReport> {
        self.epochs.iter().find(|e| e.epoch == self.best_epoch)
    }
}
