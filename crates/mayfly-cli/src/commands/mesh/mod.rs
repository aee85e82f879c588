//! `mayfly mesh`: what a client asks the nodes of a mesh, over etcd's v3 gRPC API.

mod advice;
mod answers;
pub mod args;
mod auth;
mod auth_args;
mod backup_words;
mod compact;
mod connect;
mod demo;
mod groups;
mod import;
mod keys;
mod leader;
mod lease;
mod lock;
mod login;
mod member;
mod range;
mod recover;
mod requests;
mod snapshot;
mod status;
mod target;
mod tls;
mod txn;
mod upkeep;
mod watch;
mod words;

pub use connect::{Reached, Way, again, connect, connect_by};
pub use target::Target;

use crate::support::ui::Ui;
use anyhow::Result;
use args::MeshCommand;

pub fn run(command: MeshCommand, ui: Ui) -> Result<()> {
    let mut runtime = match command {
        MeshCommand::Demo(_) => tokio::runtime::Builder::new_multi_thread(), // it asks as fast as it can
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(talk(command, ui))
}

async fn talk(command: MeshCommand, ui: Ui) -> Result<()> {
    match command {
        MeshCommand::Demo(args) => demo::run(&args, ui).await,
        MeshCommand::Status(target) => status::run(&target, ui).await,
        MeshCommand::Get(args) => keys::get(&args, ui).await,
        MeshCommand::Put(args) => keys::put(&args, ui).await,
        MeshCommand::Del(args) => keys::delete(&args, ui).await,
        MeshCommand::Txn { file, target } => txn::run(file.as_deref(), &target, ui).await,
        MeshCommand::Watch(args) => watch::run(&args, ui).await,
        MeshCommand::Lease(command) => lease::run(command, ui).await,
        MeshCommand::Member(command) => member::run(command, ui).await,
        MeshCommand::Auth(command) => auth::auth(command, ui).await,
        MeshCommand::User(command) => auth::user(command, ui).await,
        MeshCommand::Role(command) => auth::role(command, ui).await,
        MeshCommand::Compact { revision, physical, target } => compact::run(revision, physical, &target, ui).await,
        MeshCommand::Lock(args) => lock::lock(&args, ui).await,
        MeshCommand::Elect(args) => lock::elect(&args, ui).await,
        MeshCommand::Snapshot(command) => snapshot::run(&command, ui).await,
        MeshCommand::Recover(args) => recover::run(&args, ui),
        MeshCommand::Import(args) => import::run(&args, ui).await,
        MeshCommand::Defrag(target) => upkeep::defrag(&target, ui).await,
        MeshCommand::Alarm(command) => upkeep::alarm(&command, ui).await,
        MeshCommand::Check(target) => upkeep::check(&target, ui).await,
        MeshCommand::MoveLeader { id, target } => leader::run(id, &target, ui).await,
    }
}
