//! `mayfly model promote`, `canary`, `rollback`, `retire`, `alias` and `gc`.

use super::args::{CanaryArgs, RollbackArgs, StageArgs, Which};
use super::show::get;
use super::words::{called, version_json};
use crate::commands::mesh::{Reached, Target, connect};
use crate::support::ui::{Ui, counted};
use anyhow::Result;
use mayfly_mesh::proto::modelspb::{
    AliasRequest, Asked, Canary, ForgetRequest, ListRequest, RollbackRequest, Stage, StageRequest, Version,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Who asks, for the log: the user of this machine.
pub fn asked(reason: &str) -> Option<Asked> {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    Some(Asked { by: user.unwrap_or_else(|| "unknown".into()), time_ms: 0, reason: reason.into() })
}

async fn set(args: &StageArgs, to: Stage, canary: Option<Canary>) -> Result<(Reached, Version)> {
    let reached = connect(&args.target).await?;
    let found = get(&reached, &args.which).await?;
    let request = StageRequest {
        name: found.name,
        version: found.version,
        to: to.into(),
        canary,
        expected_live: args.expect_live,
        asked: asked(&args.reason),
    };
    let version = reached.ask(reached.models().set_stage(request)).await?;
    Ok((reached, version))
}

pub async fn promote(args: &StageArgs, ui: Ui) -> Result<()> {
    let (_, version) = set(args, Stage::Live, None).await?;
    ui.result(&format!("{} is live", called(&version)), &version_json(&version))
}

pub async fn retire(args: &StageArgs, ui: Ui) -> Result<()> {
    let (_, version) = set(args, Stage::Retired, None).await?;
    ui.result(&format!("{} is retired", called(&version)), &version_json(&version))
}

pub async fn canary(args: &CanaryArgs, ui: Ui) -> Result<()> {
    let permille = |percent: f64| (percent * 10.0).round() as u32; // 0 to 1,000
    let canary = Canary {
        permille: if args.shadow { 0 } else { permille(args.share) },
        shadow: args.shadow,
        least_calls: args.least_calls,
        most_errors_permille: permille(args.most_errors),
        most_p95_percent: args.most_p95,
    };
    let (_, version) = set(&args.stage, Stage::Canary, Some(canary)).await?;
    let how = match args.shadow {
        true => "is asked beside the live one".into(),
        false => format!("answers {} % of the calls", args.share),
    };
    ui.result(&format!("{} {how}", called(&version)), &version_json(&version))
}

pub async fn rollback(args: RollbackArgs, ui: Ui) -> Result<()> {
    let reached = connect(&args.target).await?;
    let RollbackArgs { name, expect_live: expected_live, reason, .. } = args;
    let request = RollbackRequest { name, expected_live, asked: asked(&reason) };
    let version = reached.ask(reached.models().rollback(request)).await?;
    ui.result(&format!("{} is live again", called(&version)), &version_json(&version))
}

pub async fn alias(which: &Which, alias: String, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let found = get(&reached, which).await?;
    let request = AliasRequest { name: found.name, alias: alias.clone(), version: found.version, asked: asked("") };
    let version = reached.ask(reached.models().alias(request)).await?;
    ui.result(&format!("{} is also called {}@{alias}", called(&version), version.name), &version_json(&version))
}

pub async fn gc(name: Option<String>, keep: u64, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let request = ListRequest { name: name.unwrap_or_default(), serializable: false };
    let versions = reached.ask(reached.models().list(request)).await?.versions;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for version in &versions {
        let last = last.entry(version.name.clone()).or_default();
        *last = version.version.max(*last);
    }
    let mut gone = Vec::new();
    for version in versions.into_iter().filter(|version| version.stage() == Stage::Retired && !version.forgotten) {
        if version.version + keep > last.get(&version.name).copied().unwrap_or(0) {
            continue;
        }
        let request = ForgetRequest { name: version.name.clone(), version: version.version, asked: asked("gc") };
        match reached.within(reached.models().forget(request)).await {
            Ok(_) => gone.push(called(&version)),
            Err(status) if status.code() == tonic::Code::FailedPrecondition => {} // a rollback may want it
            Err(status) => return Err(reached.failed(&status)),
        }
    }
    let text = format!("let go of the bytes of {}", counted(gone.len(), "version"));
    ui.result(&text, &json!({ "forgotten": gone }))
}
