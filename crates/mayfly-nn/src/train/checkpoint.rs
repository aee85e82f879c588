//! Checkpoints: a model file with everything that training needs to go on, to the last bit.
use super::config::TrainConfig;
use super::penalty::{Penalty, PenaltyForm};
use super::report::{EpochReport, Stopped};
use super::state::{Best, State};
use super::trainer::Trainer;
use crate::error::{NnError, Result};
use crate::model::{Model, from_tensors};
use crate::registry::Registry;
use crate::schedule::Plateau;
use crate::spec::NetworkSpec;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData};
use mayfly_kernels::Buffer;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The best parameters, and the optimiser's state, each in the layout of the parameters.
const BEST: &str = "checkpoint.best";
const FIRST: &str = "checkpoint.first";
const SECOND: &str = "checkpoint.second";
/// What a penalty pulls towards, and by how much.
const TOWARDS: &str = "checkpoint.towards";
const IMPORTANCE: &str = "checkpoint.importance";

/// The rest, as JSON in the file's metadata.
#[derive(Serialize, Deserialize)]
struct Saved {
    config: TrainConfig,
    epoch: u64,
    steps: u64,
    best: Option<SavedBest>,
    waited: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Stopped>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stepped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    penalty: Option<SavedPenalty>,
    plateau: Plateau,
    history: Vec<EpochReport>,
}

#[derive(Serialize, Deserialize)]
struct SavedPenalty {
    strength: f32,
    form: PenaltyForm,
}

#[derive(Serialize, Deserialize)]
struct SavedBest {
    epoch: u64,
    #[serde(with = "crate::bits")]
    loss: f64,
}

impl Trainer {
    /// Writes everything that training needs to go on: a trainer resumed from the file gives the same bits as this one, given the same data.
    /// The file is a model file of the weights that training goes on with.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut network = self.network.clone();
        if let Some(aside) = &self.state.aside {
            network.params_mut().copy_from_slice(&aside.params);
        }
        let mut file = Model::new(network).to_file()?;
        file.training = Some(
            serde_json::to_string(&self.saved())
                .map_err(|source| NnError::Json { what: "the state of the training", source })?,
        );
        let [first, second] = self.optimiser.state();
        let best = self.state.best.as_ref().map(|best| &best.params[..]).unwrap_or_default();
        let penalty = self.penalty.as_ref();
        let towards = penalty.map(|penalty| &penalty.towards[..]).unwrap_or_default();
        let importance = penalty.and_then(|penalty| penalty.importance.as_deref()).unwrap_or_default();
        let parts = [(BEST, best), (FIRST, first), (SECOND, second), (TOWARDS, towards), (IMPORTANCE, importance)];
        for (name, values) in parts {
            if !values.is_empty() {
                file.tensors.push(Tensor {
                    name: name.to_owned(),
                    shape: vec![values.len()],
                    data: TensorData::F32(values.to_vec()),
                });
            }
        }
        Ok(file.write(path, NanPolicy::Refuse)?)
    }

    fn saved(&self) -> Saved {
        let State { epoch, best, waited, ended, stepped, plateau, history, .. } = &self.state;
        Saved {
            config: self.config.clone(),
            epoch: *epoch,
            steps: self.optimiser.steps(),
            best: best.as_ref().map(|best| SavedBest { epoch: best.epoch, loss: best.loss }),
            waited: *waited,
            ended: *ended,
            stepped: *stepped,
            penalty: self.penalty.as_ref().map(|p| SavedPenalty { strength: p.strength, form: p.form }),
            plateau: *plateau,
            history: history.clone(),
        }
    }

    /// A trainer as it was when [`Trainer::checkpoint`] wrote the file.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or is no checkpoint.
    pub fn resume(path: impl AsRef<Path>) -> Result<Trainer> {
        Trainer::resume_with(path, &Registry::new())
    }

    /// As [`Trainer::resume`], for networks and losses with parts of the user's own.
    ///
    /// # Errors
    /// As for [`Trainer::resume`], and parts that are not in the registry.
    pub fn resume_with(path: impl AsRef<Path>, registry: &Registry) -> Result<Trainer> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let mut file = ModelFile::read(path, &ReadOptions::default())?;
        let Some(json) = file.training.take() else {
            return Err(NnError::BadModel {
                file: name,
                what: "this is a model and no checkpoint: it has no state of a training".to_owned(),
            });
        };
        let mut saved: Saved = serde_json::from_str(&json)
            .map_err(|source| NnError::Json { what: "the state of the training", source })?;
        saved.config.loss.bind(registry)?;
        let [best, first, second, towards, importance] =
            [BEST, FIRST, SECOND, TOWARDS, IMPORTANCE].map(|part| take(&mut file, part));
        let network = from_tensors(&name, NetworkSpec::from_json(&file.spec, registry)?, file.tensors)?;
        let mut trainer = Trainer::new(network, saved.config.clone())?;
        trainer.optimiser.restore(saved.steps, &first, &second)?;
        if let Some(SavedPenalty { strength, form }) = saved.penalty {
            let importance = (!importance.is_empty()).then_some(importance);
            trainer.set_penalty(Some(Penalty { strength, towards, importance, form }))?;
        }
        trainer.state = saved.into_state(&name, &best, trainer.network.params().len())?;
        Ok(trainer)
    }
}

impl Saved {
    fn into_state(self, file: &str, best: &[f32], len: usize) -> Result<State> {
        let Saved { epoch, waited, ended, stepped, plateau, history, .. } = self;
        if self.best.is_some() && best.len() != len {
            return Err(NnError::BadModel {
                file: file.to_owned(),
                what: format!("{} best parameters for {len}", best.len()),
            });
        }
        let best = self.best.map(|b| Best { epoch: b.epoch, loss: b.loss, params: Buffer::from(best) });
        Ok(State { epoch, best, aside: None, ended, stepped, waited, plateau, history })
    }
}

/// Takes a tensor of f32 out of the file; empty when it is not there.
fn take(file: &mut ModelFile, name: &str) -> Vec<f32> {
    let Some(at) = file.tensors.iter().position(|t| t.name == name) else { return Vec::new() };
    match file.tensors.remove(at).data {
        TensorData::F32(values) => values,
        _ => Vec::new(), // a length that does not fit says so
    }
}
