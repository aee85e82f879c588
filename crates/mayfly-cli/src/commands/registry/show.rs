//! `mayfly model list`, `show` and `log`.

use super::args::{OneArgs, Which};
use super::words::{called, event_json, event_line, stage, time, version_json, version_line};
use crate::commands::mesh::{Reached, Target, connect};
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use mayfly_mesh::proto::modelspb::{GetRequest, ListRequest, LogRequest, Version};
use serde_json::json;

pub async fn list(name: Option<String>, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let request = ListRequest { name: name.clone().unwrap_or_default(), serializable: false };
    let versions = reached.ask(reached.models().list(request)).await?.versions;
    if let (true, Some(name)) = (versions.is_empty(), name) {
        bail!("there is no model {name}: `mayfly model list` has those that there are");
    }
    let object = json!({ "versions": versions.iter().map(version_json).collect::<Vec<_>>() });
    let lines: Vec<String> = versions.iter().map(version_line).collect();
    let text = if lines.is_empty() {
        "no models yet: `mayfly model push NAME FILE` registers one".into()
    } else {
        lines.join("\n")
    };
    ui.result(&text, &object)
}

/// A version, by number, alias or stage.
pub async fn get(reached: &Reached, which: &Which) -> Result<Version> {
    let Which { name, version, alias } = which.clone();
    reached.ask(reached.models().get(GetRequest { name, version, alias, serializable: false })).await
}

pub async fn one(args: &OneArgs, ui: Ui) -> Result<()> {
    let reached = connect(&args.target).await?;
    let version = get(&reached, &args.which).await?;
    let mut lines = vec![format!("{}: {}", called(&version), stage(version.stage()))];
    if let Some(manifest) = super::words::manifest(&version) {
        lines.push(format!("  {} bytes, BLAKE3 {}", manifest.size, manifest.digest));
        lines.push(format!("  signed by {} at {}", manifest.signer, time(manifest.signed_at.saturating_mul(1_000))));
        lines
            .extend(manifest.not_after.map(|last| format!("  may go live until {}", time(last.saturating_mul(1_000)))));
        lines.extend(manifest.metrics.iter().map(|(name, value)| format!("  {} {value}", plain(name))));
        let lineage = &manifest.lineage;
        lines.extend(lineage.parents.iter().map(|parent| format!("  trained on from {}", plain(parent))));
        lines.extend(lineage.data.iter().map(|data| format!("  trained on {}", plain(data))));
        lines.extend(lineage.run.iter().map(|run| format!("  run {}", plain(run))));
        lines.extend(lineage.epsilon.map(|epsilon| format!("  epsilon {epsilon}")));
    }
    if version.forgotten {
        lines.push("  its bytes are not kept any more".into());
    }
    if !version.aliases.is_empty() {
        lines.push(format!("  also called {}", version.aliases.join(", ")));
    }
    ui.result(&lines.join("\n"), &version_json(&version))
}

pub async fn log(name: String, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let events = reached.ask(reached.models().log(LogRequest { name, serializable: false })).await?.events;
    let object = json!({ "events": events.iter().map(event_json).collect::<Vec<_>>() });
    ui.result(&events.iter().map(event_line).collect::<Vec<_>>().join("\n"), &object)
}
