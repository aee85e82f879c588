//! Going on with a stored network: `--from MODEL`.
use super::args::TrainArgs;
use crate::support::input::Input;
use crate::support::model::Loaded;
use anyhow::{Result, bail};
use mayfly_format::data::Encoder;
use mayfly_nn::{Activation, LayerSpec, Network};
use serde_json::Value;
use std::path::Path;

/// A network that has been trained already, with what makes its inputs.
pub(super) struct Base {
    pub(super) network: Network,
    pub(super) encoder: Encoder,
    /// The seed of its last training: with it, the same file is split into the same rows again.
    pub(super) seed: Option<u64>,
}

impl Base {
    /// The model that `--from` names.
    pub(super) fn read(args: &TrainArgs) -> Result<Option<Base>> {
        let Some(path) = &args.from else { return Ok(None) };
        refuse(args)?;
        Base::open(path).map(Some)
    }

    fn open(path: &Path) -> Result<Base> {
        let loaded = Loaded::read(&Input::open(path)?)?;
        let Some(encoder) = loaded.encoder.clone() else {
            bail!(
                "--from {}: the file does not say which columns the network takes and how they were scaled; models that mayfly train made say so",
                path.display()
            );
        };
        let training: Option<Value> = loaded.model.training.as_deref().and_then(|t| serde_json::from_str(t).ok());
        let seed = training.as_ref().and_then(|t| t.get("seed")?.as_u64());
        Ok(Base { network: loaded.model.network.clone(), encoder, seed })
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

/// Options that say what the stored network has settled.
fn refuse(args: &TrainArgs) -> Result<()> {
    let given = [
        ("--target", !args.target.is_empty()),
        ("--ignore", !args.ignore.is_empty()),
        ("--task", args.task.is_some()),
        ("--id", !args.id.is_empty()),
        ("--kinds", !args.kinds.is_empty()),
        ("--hidden", args.hidden.is_some()),
        ("--conv", args.conv.is_some()),
        ("--activation", args.activation.is_some()),
        ("--output-activation", args.output_activation.is_some()),
        ("--dropout", args.dropout.is_some()),
        ("--max-neurons", args.max_neurons.is_some()),
        ("--algorithm cascade", args.algorithm.as_deref() == Some("cascade")),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            bail!("{name} does not go with --from: the stored network has its columns and layers already")
        }
        None => Ok(()),
    }
}
