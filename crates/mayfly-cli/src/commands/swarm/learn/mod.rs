//! `mayfly swarm learn`: one network from the rows of many nodes.

pub mod args;
pub mod ask;
mod compare;
mod here;
mod line;
mod prepare;
mod processes;
mod report;
mod rows;
mod simulate;
mod start;
mod words;

use super::control::{Ask, Client};
use super::target::Target;
use crate::support::output::{Extensions, Files};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use args::{LearnArgs, LearnCommand};
use ask::LearnAsk;
use mayfly_learn::Shard;
use mayfly_nn::tabular::FileOptions;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const MODEL: Extensions = Extensions::Only { what: "a model", are: &["mayfly", "safetensors", "net", "onnx"] };

pub fn run(args: LearnArgs, ui: Ui) -> Result<()> {
    match args {
        LearnArgs::Here(args) => here::run(&args, ui),
        LearnArgs::There(command) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?
            .block_on(talk(command, ui)),
    }
}

/// Asks the node in a folder.
async fn ask(node: &Path, learn: LearnAsk) -> Result<Value> {
    Client::connect(node).await?.ask(&Ask::Learn { learn }).await
}

async fn talk(command: LearnCommand, ui: Ui) -> Result<()> {
    match command {
        LearnCommand::Start(args) => start::start(&args, ui).await,
        LearnCommand::Join { run, shard, target } => {
            let file = shard.canonicalize().with_context(|| format!("cannot read {}", shard.display()))?;
            let shard = Shard { file, rows: None, reading: FileOptions::default() };
            let answer = ask(&target.data, LearnAsk::Join { run, shard }).await?;
            let text = "takes part as soon as the run can be had; `mayfly swarm learn status` shows how it goes";
            ui.result(text, &answer)
        }
        LearnCommand::Status { target, watch: false } => {
            let answer = ask(&target.data, LearnAsk::Progress).await?;
            ui.result(&words::runs(&answer), &answer)
        }
        LearnCommand::Status { target, .. } => watch(&target, ui).await,
        LearnCommand::Leave { run, target } => {
            let answer = ask(&target.data, LearnAsk::Leave { run }).await?;
            let text = "leaves with the next round; `mayfly swarm learn status` shows when it has";
            ui.result(text, &answer)
        }
        LearnCommand::Save { run, output, target } => save(run, &output, &target, ui).await,
    }
}

/// The node writes the network beside where it is to be: only when that is done, it takes the place of what was there.
async fn save(run: String, output: &Path, target: &Target, ui: Ui) -> Result<()> {
    let mut files = Files::reading([])?;
    let place = files.writing("-o", output, MODEL)?;
    files.refuse_json(ui)?;
    let folder = tempfile::tempdir()?;
    let name = Path::new("model").with_extension(output.extension().unwrap_or("mayfly".as_ref()));
    let path = folder.path().join(name);
    let answer = ask(&target.data, LearnAsk::Save { run, path: path.clone() }).await?;
    place.save(|to| Ok(std::fs::copy(&path, to).map(drop)?))?;
    let answer = json!({ "run": answer["run"], "model": output, "notes": answer["notes"] });
    files.result(ui, &format!("written to {place}"), &answer)
}

async fn watch(target: &Target, ui: Ui) -> Result<()> {
    let mut last = Value::Null;
    loop {
        let answer = ask(&target.data, LearnAsk::Progress).await?;
        if answer != last {
            ui.result(&words::runs(&answer), &answer)?;
            last = answer;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
