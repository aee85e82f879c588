//! `mayfly model push`.

use super::args::PushArgs;
use super::bytes::{now_s, upload};
use super::stage::asked;
use super::words::{called, version_json};
use crate::commands::mesh::connect;
use crate::commands::swarm::{KEY, passphrase};
use crate::support::input::Input;
use crate::support::model::{Loaded, is_forecaster};
use crate::support::ui::Ui;
use anyhow::{Context, Result, anyhow};
use mayfly_format::model_file::{ModelFile, ReadOptions};
use mayfly_mesh::models::{Lineage, Manifest, SIGNED_AS, check_name};
use mayfly_mesh::proto::modelspb::{ListRequest, RegisterRequest, Signed};
use mayfly_nn::tabular::LoadOptions;
use mayfly_wire::Identity;
use std::collections::BTreeMap;
use std::path::Path;

pub async fn run(args: PushArgs, ui: Ui) -> Result<()> {
    check_name(&args.name).map_err(|what| anyhow!(what))?;
    let not_after = args.not_after.as_deref().map(last_second).transpose()?;
    let input = Input::open(&args.file)?;
    if !args.any_file {
        check_is_model(&input)?;
    }
    let bytes = std::fs::read(&*input).with_context(|| format!("cannot read {}", args.file.display()))?;
    let passphrase = passphrase(args.passphrase_file.as_deref())?;
    let key = args.data.join(KEY);
    let identity = Identity::load(&key, passphrase.as_deref().map(str::as_bytes))
        .with_context(|| "a node's key signs: --data names the folder of a node of the swarm")?;

    let reached = connect(&args.target).await?;
    let request = ListRequest { name: args.name.clone(), serializable: false };
    let versions = reached.ask(reached.models().list(request)).await?.versions;
    let next = versions.iter().map(|version| version.version).max().unwrap_or(0) + 1;
    let (schema, mut metrics) = told_by(&input);
    metrics.extend(args.metrics);
    let manifest = Manifest {
        schema,
        metrics,
        lineage: Lineage { parents: args.parents, run: args.run, data: args.trained_on, epsilon: args.epsilon },
        not_after,
        ..Manifest::new(&args.name, next, &bytes, identity.id().to_string(), now_s())
    };
    let manifest = manifest.write();
    let signed = Signed {
        signature: identity.sign(SIGNED_AS, &manifest)?,
        manifest,
        public_key: identity.public_key().bytes().to_vec(),
    };
    upload(&reached, bytes, ui).await?;
    let request = RegisterRequest { signed: Some(signed), asked: asked(&args.reason) };
    let version = reached.ask_at_length(reached.models().register(request)).await?;
    let text = format!("{0} is registered; `mayfly model promote {0}` makes it live", called(&version));
    ui.result(&text, &version_json(&version))
}

/// The last second of a day.
fn last_second(text: &str) -> Result<i64> {
    let day: jiff::civil::Date = text.parse().with_context(|| format!("--not-after {text}: a day is 2027-12-31"))?;
    let end = day.tomorrow()?.at(0, 0, 0, 0);
    Ok(jiff::tz::TimeZone::UTC.to_timestamp(end)?.as_second() - 1)
}

/// A name's next version is handed to everyone who asks for it, so a file is looked at before.
fn check_is_model(file: &Path) -> Result<()> {
    if is_forecaster(file) {
        return Ok(());
    }
    let loaded = Loaded::read_with(file, &LoadOptions::default());
    loaded
        .map(drop)
        .map_err(|e| anyhow!("{e:#}; with --any-file, a file that Mayfly cannot load is registered all the same"))
}

/// What a model file of ours says of itself; nothing, of any other file.
fn told_by(file: &Path) -> (serde_json::Value, BTreeMap<String, f64>) {
    let Ok(model) = ModelFile::read(file, &ReadOptions::default()) else {
        return (serde_json::Value::Null, BTreeMap::new());
    };
    let schema = serde_json::from_str(&model.spec).unwrap_or_default();
    let metrics: BTreeMap<String, serde_json::Value> =
        model.metrics.and_then(|metrics| serde_json::from_str(&metrics).ok()).unwrap_or_default();
    let metrics = metrics.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
    (schema, metrics.collect())
}
