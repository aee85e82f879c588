//! `mayfly mesh compact`.

use super::args::Target;
use super::connect::connect;
use super::words;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_mesh::proto::etcdserverpb::CompactionRequest;
use serde_json::json;

pub async fn run(revision: i64, physical: bool, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let mut kv = reached.kv();
    let answer = reached.ask(kv.compact(CompactionRequest { revision, physical })).await?;
    let object = json!({ "compacted": revision, "revision": words::revision(answer.header.as_ref()) });
    ui.result(&format!("what keys held before revision {revision} is forgotten"), &object)
}
