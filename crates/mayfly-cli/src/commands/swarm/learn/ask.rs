//! What a running node is asked of training together, over its control socket.

use crate::commands::swarm::Node;
use anyhow::{Context, Result, bail};
use mayfly_format::data::Encoder;
use mayfly_learn::{Call, How, Hub, Mode, Run, RunId, Shard};
use mayfly_nn::tabular::{ModelKind, Predictor};
use mayfly_nn::{Model, Network, TrainConfig};
use mayfly_swarm::learn::Digest;
use mayfly_wire::{Endpoint, Lane};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A node's part in runs.
pub type LearnHub = Hub<Lane<Endpoint>>;

/// Keys of the distributed memory that name runs.
const PREFIX: &str = "learn/";
/// Fewest digits by which a run may be called.
const FEWEST_DIGITS: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum LearnAsk {
    Found(Box<Found>),
    /// A file with the call, and the rows of this node.
    Call {
        call: PathBuf,
        shard: Shard,
    },
    Join {
        run: String,
        shard: Shard,
    },
    Leave {
        run: String,
    },
    Progress,
    Save {
        run: String,
        path: PathBuf,
    },
}

/// What a run is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// A model file with the network that it begins with, and its encoder.
    pub model: PathBuf,
    pub name: String,
    pub rounds: u64,
    pub how: How,
    pub config: TrainConfig,
    pub members: usize,
    pub shard: Shard,
}

impl Found {
    /// The record of the run.
    pub fn run(&self, network: &Network, encoder: Encoder) -> Run {
        self.how.run(&self.name, self.rounds, network, &self.config, encoder)
    }
}

pub async fn answer(runtime: &Node, hub: &LearnHub, ask: LearnAsk) -> Result<Value> {
    match ask {
        LearnAsk::Found(found) => {
            let id = self::found(hub, &found)?;
            publish(runtime, id, &found.name, found.how.mode).await
        }
        LearnAsk::Call { call, shard } => {
            let bytes = std::fs::read(&call).with_context(|| format!("cannot read {}", call.display()))?;
            let call = Call::from_bytes(&bytes, Digest::of(&bytes))?;
            let id = hub.call(&call, shard)?;
            publish(runtime, id, &call.name, call.how.mode).await
        }
        LearnAsk::Join { run, shard } => {
            let id = called(runtime, hub, &run)?;
            hub.join(id, shard)?;
            Ok(json!({ "run": id.to_string() }))
        }
        LearnAsk::Leave { run } => {
            let id = called(runtime, hub, &run)?;
            hub.leave(id)?;
            Ok(json!({ "run": id.to_string() }))
        }
        LearnAsk::Progress => Ok(json!({ "runs": hub.progress() })),
        LearnAsk::Save { run, path } => {
            let id = called(runtime, hub, &run)?;
            let notes = save(hub, id, &path)?;
            Ok(json!({ "run": id.to_string(), "model": path, "notes": notes }))
        }
    }
}

/// Lets all nodes know the name of a run, or of the call that it will come of.
async fn publish(runtime: &Node, id: RunId, name: &str, mode: Mode) -> Result<Value> {
    let about = json!({ "name": name, "mode": mode, "by": runtime.status().id.to_string() });
    runtime.write(format!("{PREFIX}{id}").as_bytes(), about.to_string().into_bytes()).await?;
    Ok(json!({ "run": id.to_string() }))
}

fn found(hub: &LearnHub, found: &Found) -> Result<RunId> {
    let predictor = Predictor::load(&found.model)?;
    let encoder = predictor.encoder.clone().context("the model to begin with has no encoder")?;
    let network = &predictor.model.network;
    let run = found.run(network, encoder);
    Ok(hub.found(&run, &run.first_state(network), found.shard.clone(), found.members)?)
}

/// The one run whose name, or whose call's name, is this or starts with it.
fn called(runtime: &Node, hub: &LearnHub, name: &str) -> Result<RunId> {
    let name = name.to_ascii_lowercase();
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    if name.len() < FEWEST_DIGITS || !name.bytes().all(|c| c.is_ascii_hexdigit()) {
        bail!("{name} is no run's name: 64 hexadecimal digits, or the first {FEWEST_DIGITS} of them at least");
    }
    let keys = runtime.keys(format!("{PREFIX}{name}").as_bytes(), None, 2);
    let known = keys.iter().filter_map(|key| Some(std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?.to_owned()));
    let here = hub.progress().into_iter().map(|progress| progress.run).filter(|run| run.starts_with(&name));
    let ids: BTreeSet<RunId> = known.chain(here).filter_map(|name| name.parse().ok()).collect();
    match ids.into_iter().collect::<Vec<_>>()[..] {
        [id] => Ok(id),
        [] => bail!("no run's name starts with {name}, as far as this node knows"),
        _ => bail!("the names of several runs start with {name}, so give more of it"),
    }
}

/// Writes the network of a run as a model file; what the format has no words for.
fn save(hub: &LearnHub, id: RunId, path: &std::path::Path) -> Result<Vec<String>> {
    let (run, state) = (hub.run(id)?, hub.state(id)?);
    let network = Network::from_parts(run.network.clone(), state.params(), None)?;
    let model = Model::new(network).with_encoder(&run.encoder)?;
    let kind = ModelKind::of_name(path).context("the extension says no model format")?;
    Ok(Predictor::new(model, Some(run.encoder))?.save(path, kind)?)
}
