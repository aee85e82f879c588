//! `mayfly model`: the registry of models that a mesh keeps.

pub mod args;
mod bytes;
mod predict;
mod push;
mod show;
mod stage;
mod words;

use crate::support::ui::Ui;
use anyhow::Result;
use args::ModelCommand;

pub fn run(command: ModelCommand, ui: Ui) -> Result<()> {
    let mut runtime = match command {
        ModelCommand::Predict(_) => tokio::runtime::Builder::new_multi_thread(), // it answers while it loads
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(talk(command, ui))
}

async fn talk(command: ModelCommand, ui: Ui) -> Result<()> {
    match command {
        ModelCommand::Push(args) => push::run(args, ui).await,
        ModelCommand::Predict(args) => predict::run(args, ui).await,
        ModelCommand::Pull(args) => bytes::pull(&args, ui).await,
        ModelCommand::Verify { which, file, trust, target } => bytes::verify(&which, &file, &trust, &target, ui).await,
        ModelCommand::List { name, target } => show::list(name, &target, ui).await,
        ModelCommand::Show(args) => show::one(&args, ui).await,
        ModelCommand::Log { name, target } => show::log(name, &target, ui).await,
        ModelCommand::Promote(args) => stage::promote(&args, ui).await,
        ModelCommand::Retire(args) => stage::retire(&args, ui).await,
        ModelCommand::Canary(args) => stage::canary(&args, ui).await,
        ModelCommand::Rollback(args) => stage::rollback(args, ui).await,
        ModelCommand::Alias { which, alias, target } => stage::alias(&which, alias, &target, ui).await,
        ModelCommand::Gc { name, keep, target } => stage::gc(name, keep, &target, ui).await,
    }
}
