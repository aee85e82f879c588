//! `cargo xtask packs`: the core kernels compiled to WebAssembly, packed and signed.

use crate::process::{cargo, output, program, root, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler with its sources: what there is where rustup cannot add a target.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_LINKER: &str = "wasm-ld-19";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The secret key that signs; made when it is missing, and its public half is written beside the pack.
    #[arg(long, value_name = "FILE", default_value = "target/packs/dev.key.json")]
    key: PathBuf,
}

pub(crate) fn build_packs(args: &Args) -> Result<()> {
    let target = root().join("target/packs");
    run(&mut kernels(&target)?)?;
    let modules = target.join(TARGET).join("release");
    let text = |path: &Path| path.to_str().map(String::from).context("a path is not UTF-8");
    let (modules, key) = (text(&modules)?, text(&args.key)?);
    let pack = "packs/mayfly-core-1.0.0";
    run(&mut cargo(&["run", "--package", "mayfly-packs", "--example", "core_pack", "--", &modules, pack, &key]))
}

/// The toolchain's own target if it is there, else the system's compiler, which builds `core` from its sources.
fn kernels(target: &Path) -> Result<Command> {
    let mut args = vec!["build", "--release", "--manifest-path", "packs/kernels/Cargo.toml", "--target", TARGET];
    let has_target = has_target()?;
    if !has_target {
        args.push("-Zbuild-std=core,panic_abort");
    }
    let mut command = cargo(&args);
    command.env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", "-Ctarget-feature=+simd128,+bulk-memory");
    if !has_target {
        command.env("RUSTC", SYSTEM_RUSTC).env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", SYSTEM_LINKER);
    }
    Ok(command)
}

fn has_target() -> Result<bool> {
    let libraries = output(&mut program("rustc", &["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(libraries.trim()).is_dir())
}
