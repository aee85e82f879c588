//! `mayfly pack`: signed packs of WebAssembly kernels from the command line.

mod args;
mod bench;
mod call;
mod inspect;
mod make;
mod npy;
mod shapes;
mod store;

pub use args::PackCommand;

use crate::support::exit::Detailed;
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use args::{EngineName, PackArg};
use mayfly_packs::{
    Engine, EngineKind, EngineOptions, PackError, PackFiles, Policy, TrustStore, VerifiedPack, new_engine, verify,
};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A manifest and an envelope are at most so large; what else a pack holds, the library bounds.
const TEXT_BYTES: u64 = 1 << 20;

/// Runs one of the commands.
pub fn run(command: PackCommand, ui: Ui) -> Result<()> {
    match command {
        PackCommand::Keygen { dir, name } => make::keygen(&dir, &name, ui),
        PackCommand::Build { dir, output } => make::build(&dir, &output, ui),
        PackCommand::Sign { pack, key } => make::sign(&pack, &key, ui),
        PackCommand::Verify(args) => verify_pack(&args, ui),
        PackCommand::Inspect(args) => inspect::run(&args, ui),
        PackCommand::Run(args) => call::run(&args, ui),
        PackCommand::Bench(args) => bench::run(&args, ui),
        PackCommand::Install(args) => store::install(&args, store::Change::Install, ui),
        PackCommand::Upgrade(args) => store::install(&args, store::Change::Upgrade, ui),
        PackCommand::List(args) => store::list(&args, ui),
        PackCommand::Rollback { name, store } => store::rollback(&name, &store, ui),
        PackCommand::Revoke(args) => store::revoke(&args, ui),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn kind(engine: EngineName) -> EngineKind {
    match engine {
        EngineName::Wasmtime => EngineKind::Wasmtime,
        EngineName::Wasmi => EngineKind::Wasmi,
    }
}

/// One command needs few instances, and so little address space.
fn engine(name: EngineName) -> Result<Arc<dyn Engine>> {
    Ok(new_engine(kind(name), &EngineOptions { max_instances: 64, ..EngineOptions::default() })?)
}

/// The trust of a file, or of the store.
fn read_trust(file: Option<&Path>) -> Result<TrustStore> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => store::default_folder()?.join("trust.json"),
    };
    if file.is_none() && !path.exists() {
        return Ok(TrustStore::default());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    TrustStore::from_json(&text).with_context(|| path.display().to_string())
}

fn verified(args: &PackArg, engine: Option<EngineKind>) -> Result<VerifiedPack, anyhow::Error> {
    let trust = read_trust(args.trust.as_deref())?;
    let policy = Policy { engine, ..Policy::at(now()) };
    Ok(verify(&PackFiles::Folder(args.pack.clone()), &trust, &policy)?)
}

fn verify_pack(args: &PackArg, ui: Ui) -> Result<()> {
    match verified(args, None) {
        Ok(pack) => {
            let signed_by: Vec<String> = pack.signers().iter().map(ToString::to_string).collect();
            let (manifest, kernels) = (pack.manifest(), pack.manifest().kernels.len());
            let object = json!({"ok": true, "error": null, "kernels": kernels, "signed_by": signed_by});
            let text = format!(
                "{} {}: good, {kernels} kernel{}, signed by {}",
                manifest.name,
                manifest.version,
                if kernels == 1 { "" } else { "s" },
                signed_by.join(", ")
            );
            ui.result(&text, &object)
        }
        Err(error) => {
            let object = json!({"ok": false, "error": error_object(&error), "kernels": 0, "signed_by": []});
            Err(Detailed { message: format!("{error:#}"), object }.into())
        }
    }
}

/// Kind, message and the numbers that prove it.
fn error_object(error: &anyhow::Error) -> Value {
    let message = format!("{error:#}");
    match error.downcast_ref::<PackError>() {
        Some(error) => {
            let mut object = error.fields();
            object.insert("kind".into(), error.kind().into());
            object.insert("message".into(), message.into());
            Value::Object(object)
        }
        None => json!({"kind": "Other", "message": message}),
    }
}
