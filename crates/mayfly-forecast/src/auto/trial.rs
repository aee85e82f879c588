//! One try: a model with some settings, trained and measured.
use crate::error::Result;
use crate::forecaster::{Fitted, Forecaster, Model, Progress, Watch};
use crate::frame::SeriesFrame;
use mayfly_nn::Control;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What was tried, and what came of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The model's name.
    pub model: String,
    /// Its number among the model's trials, from 1.
    pub trial: usize,
    /// The settings that are searched, and the steps that it was trained for.
    pub config: Map<String, Value>,
    /// Where that is in the space.
    pub(super) point: Vec<f64>,
    /// Values of the past that the model saw, where its space says how many horizons they are.
    #[serde(default)]
    pub input_size: Option<usize>,
    /// Mean absolute error over what was held out; none where it failed.
    pub mae: Option<f64>,
    /// Why it failed.
    pub failed: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// A model that was tried, with its weights if it was tried in this run.
pub(super) struct Tried {
    pub(super) trial: Trial,
    pub(super) model: Model,
    pub(super) fitted: Option<Fitted>,
}

/// Trains a model. None where it was asked to stop before the end.
pub(super) fn train(
    with: &Forecaster,
    model: &Model,
    frame: &SeriesFrame,
    watch: &mut dyn Watch,
) -> Result<Option<Fitted>> {
    let mut alone = with.alone(model.clone());
    let report = alone.fit(frame, watch)?;
    Ok(if report.stopped { None } else { alone.fitted().first().cloned() })
}

/// Passes progress on with the number of the trial.
pub(super) struct Numbered<'a> {
    pub(super) watch: &'a mut dyn Watch,
    pub(super) number: [usize; 2],
}

impl Watch for Numbered<'_> {
    fn progress(&mut self, progress: &Progress<'_>) {
        self.watch.progress(&Progress { number: self.number, ..*progress });
    }

    fn control(&mut self) -> Control {
        self.watch.control()
    }
}
