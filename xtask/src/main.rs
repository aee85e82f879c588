//! The house's automation: `cargo xtask <command>`.
//!
//! `ci` is what runs before anything lands; `test` is the one command that runs every test; the rest are the pieces.
#![forbid(unsafe_code)]

mod bench;
mod bench_forecast;
mod ci;
mod cross;
mod fuzz;
mod gates;
mod mutants;
mod packs;
mod process;
mod test;
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Mayfly's automation")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every test: unit, integration and doctests, then the kernel suites under each instruction set of this machine.
    Test {
        /// Passed on to `cargo nextest run`; with arguments only the first run is done.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// What must pass before a change lands: formatting, tidy, clippy, tests, count gates.
    Ci,
    /// The house rules: layers, sizes, banned calls, docs, unsafe, dependency versions.
    Tidy(tidy::Args),
    /// Counts that do not drift, held against bench/gates.json: binary size, instructions and allocations per call.
    Gates(gates::Args),
    /// The long suites: whole-range sweeps, many more random cases, longer mutation of hostile files; then the wasi-nn backend, the mesh's generated code, `packs --check`, `cross` and `fuzz`.
    Nightly,
    /// The kernel and graph suites under NEON (qemu) and WebAssembly vectors (node).
    Cross,
    /// Every fuzz target under libFuzzer for a while; needs a nightly toolchain and cargo-fuzz.
    Fuzz(fuzz::Args),
    /// Faults put into the code one at a time, to see whether a test notices; the lists are in xtask/mutants.
    Mutants(mutants::Args),
    /// The core kernels: compiled to WebAssembly, packed and signed as packs/mayfly-core-1.0.0.
    Packs(packs::Args),
    /// Benchmarks against other libraries, in their own workspace under bench/.
    Bench {
        /// Passed on, `peers --help` for instance.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
}

fn main() -> std::process::ExitCode {
    let Err(error) = run(Args::parse().command) else { return std::process::ExitCode::SUCCESS };
    process::say(&format!("error: {}", error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")));
    std::process::ExitCode::FAILURE
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Test { filter } => test::run_all(&filter),
        Command::Ci => ci::run_steps(),
        Command::Tidy(args) => tidy::run(&args),
        Command::Gates(args) => gates::run_gates(&args),
        Command::Nightly => {
            test::nightly()?;
            test::wasi_nn()?;
            test::mesh_code()?;
            packs::check_packs()?;
            cross::run_cross()?;
            fuzz::run_fuzz(&fuzz::Args::default())
        }
        Command::Cross => cross::run_cross(),
        Command::Fuzz(args) => fuzz::run_fuzz(&args),
        Command::Mutants(args) => mutants::run_mutants(&args),
        Command::Packs(args) => packs::build_packs(&args),
        Command::Bench { args } => bench::run_bench(&args),
    }
}
