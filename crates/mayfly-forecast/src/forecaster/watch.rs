//! What a training tells while it runs.
use mayfly_nn::Control;

/// How far a model has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress<'a> {
    /// The model.
    pub model: &'a str,
    /// Its place among the models, from 1, and how many there are.
    pub number: [usize; 2],
    /// Steps done, of how many.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean loss of the steps since the report before, on the scale of the windows.
    pub train_loss: f64,
    /// Loss of what is held out, on the scale of the data.
    pub validation_loss: Option<f64>,
}

/// Watches trainings; `()` lets them run.
pub trait Watch {
    /// Now and then.
    fn progress(&mut self, _progress: &Progress<'_>) {}

    /// Asked after every step; the best weights so far are kept when the answer is to stop.
    fn control(&mut self) -> Control {
        Control::Continue
    }
}

impl Watch for () {}
