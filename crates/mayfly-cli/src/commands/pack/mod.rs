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
    Compiler, CompilerProcess, Engine, EngineKind, EngineOptions, PackError, PackFiles, Policy, TrustedKeys,
    VerifiedPack, compile_for_parent, new_engine, verify,
};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A manifest and an envelope are at most so large; what else a pack holds, the library bounds.
const TEXT_BYTES: u64 = 1 << 20;
/// A trust store is at most so large.
const TRUST_BYTES: u64 = 4 << 20;

/// Runs one of the commands.
pub fn run(command: PackCommand, ui: Ui) -> Result<()> {
    match command {
        PackCommand::Keygen { dir, name } => make::keygen(&dir, &name, ui),
        PackCommand::Build { dir, output, force } => make::build(&dir, &output, force, ui),
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
        PackCommand::Compile => Ok(compile_for_parent()?),
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

/// One command needs few instances, and so little address space. Modules are compiled in processes of their own.
fn options() -> Result<EngineOptions> {
    let compiler = Compiler::Child(CompilerProcess::new(this_program()?, ["pack", "compile"]));
    Ok(EngineOptions { max_instances: 64, compiler, ..EngineOptions::default() })
}

/// This program, also when its file has been replaced meanwhile.
fn this_program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe().context("this program's own file") }
}

fn engine(name: EngineName) -> Result<Arc<dyn Engine>> {
    Ok(new_engine(kind(name), &options()?)?)
}

/// The trust of a file, or of the store.
fn read_trust(file: Option<&Path>, ui: Ui) -> Result<TrustedKeys> {
    let Some(path) = file else { return store::default_trust(ui) };
    TrustedKeys::from_json(&read_text(path)?).with_context(|| path.display().to_string())
}

/// A file of text, or standard input for `-`.
fn read_text(path: &Path) -> Result<String> {
    let text = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin().take(TRUST_BYTES)),
        false => std::fs::File::open(path).and_then(|file| std::io::read_to_string(file.take(TRUST_BYTES))),
    };
    text.with_context(|| format!("cannot read {}", path.display()))
}

fn verified(args: &PackArg, engine: Option<EngineKind>, ui: Ui) -> Result<VerifiedPack, anyhow::Error> {
    let trust = read_trust(args.trust.as_deref(), ui)?;
    let policy = Policy { engine, ..Policy::at(now()) };
    Ok(verify(&PackFiles::Folder(args.pack.clone()), &trust, &policy)?)
}

/// Everything that comes before running: also that every module can be compiled, on every engine that it is for.
fn verified_and_compiled(args: &PackArg, ui: Ui) -> Result<VerifiedPack> {
    let pack = verified(args, None, ui)?;
    for name in [EngineName::Wasmtime, EngineName::Wasmi] {
        pack.check_compiles(&*engine(name)?)?;
    }
    Ok(pack)
}

fn verify_pack(args: &PackArg, ui: Ui) -> Result<()> {
    match verified_and_compiled(args, ui) {
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
