//! `cargo xtask cross`: the kernel and graph suites on instruction sets that this machine has not: NEON under qemu, WebAssembly vectors in node.

use crate::process::{cargo, output, program, root, run};
use anyhow::{Context, Result};
use std::process::Command;

const CRATES: &[&str] = &["--package", "mayfly-kernels", "--package", "mayfly-graph"];
const NEON: &str = "aarch64-unknown-linux-gnu";
const WASM: &str = "wasm32-wasip1";

pub(crate) fn run_cross() -> Result<()> {
    needs("qemu-aarch64", "qemu-user")?;
    needs("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")?;
    needs("node", "nodejs")?;
    run(&mut program("rustup", &["target", "add", NEON, WASM]))?;
    run(tests(&["nextest", "run", "--target", NEON])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu"))?;
    let runner = format!("node --no-warnings {}", root().join("xtask/wasi.mjs").display());
    run(tests(&["test", "--tests", "--no-fail-fast", "--target", WASM])
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", "-C target-feature=+simd128")
        .env("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner)
        .env("INSTA_WORKSPACE_ROOT", root()))
}

fn tests(args: &[&str]) -> Command {
    let mut command = cargo(args);
    command.args(CRATES);
    command
}

fn needs(tool: &str, package: &str) -> Result<()> {
    output(&mut program(tool, &["--version"])).map(drop).with_context(|| format!("install {package} first"))
}
