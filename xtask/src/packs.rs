//! `cargo xtask packs`: the core kernels compiled to WebAssembly, packed and signed; `--check` holds the committed modules against the sources.

use crate::gates::target_folder;
use crate::process::{cargo, output, print, program, root, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
const PACK: &str = "packs/mayfly-core-1.0.0";
/// Debian's compiler with its sources: what there is where rustup cannot add a target.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_LINKER: &str = "wasm-ld-19";

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// The secret key that signs [default: mayfly/core-dev.key.json in the user's configuration folder].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Make the key, which must not be there yet. Its public half becomes packs/mayfly-core-dev.pub.json.
    #[arg(long)]
    new_key: bool,
    /// Only compile, and fail unless the committed modules are what the sources give. Needs no key.
    #[arg(long, conflicts_with_all = ["key", "new_key"])]
    check: bool,
}

pub(crate) fn build_packs(args: &Args) -> Result<()> {
    let key = if args.check { None } else { Some(find_key(args)?) };
    let target = target_folder("Cargo.toml")?.join("packs");
    run(&mut kernels(&target)?)?;
    let modules = target.join(TARGET).join("release");
    match key {
        None => check(&modules),
        Some(key) => pack(&modules, &key, args.new_key),
    }
}

/// As `--check`, for the nightly run, which brings the target.
pub(crate) fn check_packs() -> Result<()> {
    run(&mut program("rustup", &["target", "add", TARGET]))?;
    build_packs(&Args { check: true, ..Args::default() })
}

fn find_key(args: &Args) -> Result<PathBuf> {
    let key = match &args.key {
        Some(key) => std::path::absolute(key)?,
        None => config_folder()?.join("mayfly/core-dev.key.json"),
    };
    match (key.exists(), args.new_key) {
        (false, false) => bail!(
            "there is no key at {}: give one with --key FILE, or make one with --new-key (the pack then has a new signer)",
            key.display()
        ),
        (true, true) => {
            bail!("{} is there already: sign with it (without --new-key), or name another file", key.display())
        }
        _ => Ok(key),
    }
}

fn config_folder() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = from("XDG_CONFIG_HOME").or_else(|| Some(from("HOME")?.join(".config")));
    folder.context("neither XDG_CONFIG_HOME nor HOME is set: give --key FILE")
}

fn pack(modules: &Path, key: &Path, new_key: bool) -> Result<()> {
    // With the whole workspace, as every other command builds: one package alone would choose other features and compile anew.
    run(&mut cargo(&["build", "--workspace", "--example", "core_pack"]))?;
    let text = |path: &Path| path.to_str().map(String::from).context("a path is not UTF-8");
    let program_file = target_folder("Cargo.toml")?.join("debug/examples/core_pack");
    let (program_file, modules, key) = (text(&program_file)?, text(modules)?, text(key)?);
    let mut args = vec![modules.as_str(), PACK, &key];
    if new_key {
        args.push("new-key");
    }
    run(&mut program(&program_file, &args))
}

/// Every module of the pack against the one just compiled.
fn check(built: &Path) -> Result<()> {
    let (mut same, mut different) = (0, Vec::new());
    for folder in std::fs::read_dir(root().join(PACK))?.filter_map(|entry| Some(entry.ok()?.path())) {
        for committed in std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
            let name = committed.file_name().context("a module without a name")?;
            let anew = built.join(name);
            let anew = std::fs::read(&anew).with_context(|| format!("{} was not built", anew.display()))?;
            match std::fs::read(&committed)? == anew {
                true => same += 1,
                false => different.push(name.display().to_string()),
            }
        }
    }
    let rustc = output(&mut program("rustc", &["--version"]))?;
    if !different.is_empty() {
        bail!(
            "{} in {PACK} are not what packs/kernels gives with {}: run `cargo xtask packs`, or check with the compiler that docs/formats/kernel-pack.md names",
            different.join(", "),
            rustc.trim()
        );
    }
    print(&format!("packs: {same} modules are what {} makes of their sources", rustc.trim()));
    Ok(())
}

/// The toolchain's own target if it is there, else the system's compiler, which builds `core` from its sources.
fn kernels(target: &Path) -> Result<Command> {
    let mut args = vec!["build", "--release", "--manifest-path", "packs/kernels/Cargo.toml", "--target", TARGET];
    let has_target = has_target()?;
    if !has_target {
        args.push("-Zbuild-std=core,panic_abort");
    }
    let mut command = cargo(&args);
    // No path of this machine in the modules: the same sources give the same bytes anywhere.
    let flags = format!("-Ctarget-feature=+simd128,+bulk-memory --remap-path-prefix={}=/mayfly", root().display());
    command.env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", flags);
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
