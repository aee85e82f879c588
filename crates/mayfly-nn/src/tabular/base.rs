//! Networks to go on with.
use super::Predictor;
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::layers::LayerSpec;
use crate::network::Network;
use mayfly_format::data::Encoder;
use serde::Deserialize;
use std::path::Path;

/// A network that has been trained already, with what makes its inputs.
pub(super) struct Base {
    pub(super) network: Network,
    pub(super) encoder: Encoder,
    /// The seed of its last training: with it, the same file is split into the same rows again.
    pub(super) seed: Option<u64>,
}

/// What is wanted of the record of a training.
#[derive(Deserialize)]
struct Record {
    seed: Option<u64>,
}

impl Base {
    pub(super) fn read(path: &Path) -> Result<Base> {
        let Predictor { model, encoder, .. } = Predictor::load(path)?;
        let encoder = encoder.ok_or_else(|| NnError::BadModel {
            file: path.display().to_string(),
            what: "the file does not say which columns the network takes and how they were scaled; models that were trained from a data file say so".to_owned(),
        })?;
        let record: Option<Record> = model.training.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Ok(Base { network: model.network, encoder, seed: record.and_then(|record| record.seed) })
    }

    /// The activation of the outputs, where the last layer says it.
    pub(super) fn output_activation(&self) -> Option<Activation> {
        match self.network.spec().layers.last()? {
            LayerSpec::Dense(dense) => Some(dense.activation),
            LayerSpec::Activation(activation) => Some(*activation),
            _ => None,
        }
    }
}
