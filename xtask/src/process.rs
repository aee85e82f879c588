//! Running other programs from the repository root, each shown before it starts.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository root: the folder above `xtask/`.
pub(crate) fn root() -> PathBuf {
    // Cargo tells it when it runs us, which is right also where a shared build folder has us from another clone.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// `cargo` as the toolchain that runs us has it, started in the repository root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), args)
}

/// For cargo commands on the whole workspace: every command of the binary, also those that its default features leave out.
pub(crate) const FULL: &[&str] = &["--features", "mayfly-cli/full,mayfly-mesh/mutants,mayfly-mesh/config"];

/// Any program, started in the repository root.
pub(crate) fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root());
    command
}

/// Shows the command on stderr, runs it, and fails unless it ends well.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    say(&format!("\n$ {shown}"));
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it wrote on stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let out = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    if !out.status.success() {
        bail!("`{shown}` failed ({})\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    String::from_utf8(out.stdout).with_context(|| format!("`{shown}` did not write UTF-8"))
}

/// One line to the person who watches; stdout stays free for results.
#[expect(clippy::print_stderr, reason = "xtask speaks to a person")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A line of result on stdout.
#[expect(clippy::print_stdout, reason = "xtask's results are read by people and scripts")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

fn show(command: &Command) -> String {
    let envs = command.get_envs().filter_map(|(k, v)| Some(format!("{}={} ", k.display(), v?.display())));
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let args = command.get_args().map(|a| format!(" {}", a.display()));
    envs.chain([name.display().to_string()]).chain(args).collect()
}
