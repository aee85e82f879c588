//! What a training from a file leaves.
use super::{ModelKind, Predictor};
use crate::error::{NnError, Result};
use crate::fann::{CascadeReport, Cascaded};
use crate::metrics::{Measured, Scores};
use crate::model::Model;
use crate::network::Network;
use crate::train::{FitReport, Stopped};
use mayfly_format::data::Encoder;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// A trained network with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The model with its encoder. Its metadata have the figures and the record of the training.
    pub predictor: Predictor,
    /// Figures over the test rows; without such over the training rows.
    pub measured: Measured,
    /// The figures in short, and how they came about: what the file of the model records.
    pub summary: Summary,
    /// How the training went.
    pub course: Course,
}

/// The record of a training, as model files keep it. In serde the scores stand among the other entries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Figures over the test rows; without such over the training rows.
    #[serde(flatten)]
    pub scores: Scores,
    /// Loss over the training rows.
    #[serde(deserialize_with = "number")]
    pub train_loss: f64,
    /// Loss over the test rows; NaN without such.
    #[serde(deserialize_with = "number")]
    pub test_loss: f64,
    /// Epochs that were run.
    pub epochs: usize,
    /// How long the training took, without the reading of the file.
    pub seconds: f64,
    /// Numbers that were learnt.
    pub parameters: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// How a training went.
#[derive(Clone, PartialEq, Debug)]
pub enum Course {
    /// Of a network of fixed size: its epochs.
    Fitted(FitReport),
    /// Of a network that grew.
    Grown(Growth),
}

/// How a network grew.
#[derive(Clone, PartialEq, Debug)]
pub struct Growth {
    /// A report for every size.
    pub reports: Vec<CascadeReport>,
    /// That of the network that was kept.
    pub best: CascadeReport,
    /// Epochs over all.
    pub epochs: usize,
    /// Why it ended; [`Stopped::Epochs`] stands for as many neurons as allowed.
    pub stopped: Stopped,
}

/// A number that was not finite is null in JSON.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Growth {
    /// What cascade training left, and the reports that it gave; the network by itself.
    pub(super) fn new(grown: Cascaded, reports: Vec<CascadeReport>) -> (Network, Growth) {
        let Cascaded { network, best, epochs, stopped } = grown;
        (network, Growth { reports, best, epochs, stopped })
    }
}

impl Course {
    /// Epochs that were run.
    pub fn epochs(&self) -> usize {
        match self {
            Course::Fitted(report) => report.epochs.len(),
            Course::Grown(growth) => growth.epochs,
        }
    }
}

impl Trained {
    /// Puts what belongs to a network into its model.
    pub(super) fn new(
        model: Model,
        encoder: Encoder,
        measured: Measured,
        summary: Summary,
        course: Course,
    ) -> Result<Self> {
        let json = |what, text: serde_json::Result<String>| text.map_err(|source| NnError::Json { what, source });
        let mut model = model.with_encoder(&encoder)?;
        model.metrics = Some(json("the figures of the model", serde_json::to_string(&measured.scores()))?);
        model.training = Some(json("the record of the training", serde_json::to_string(&summary))?);
        Ok(Trained { predictor: Predictor::new(model, Some(encoder))?, measured, summary, course })
    }

    /// Writes the model in the format that the name says: `.mayfly` or `.safetensors`, `.net` (FANN) or `.onnx`. What is given back ought to be said to
    /// the user: what the format has no words for.
    ///
    /// # Errors
    /// A name that says no format, what the format cannot hold at all, and what the operating system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = path.as_ref();
        let kind = ModelKind::of_name(path).ok_or_else(|| NnError::BadModel {
            file: path.display().to_string(),
            what: "the extension says no model format; there are .mayfly, .safetensors, .net and .onnx".to_owned(),
        })?;
        self.predictor.save(path, kind)
    }
}
