//! The `mayfly` command; the library beside it does the work.
#![forbid(unsafe_code)]

/// Nodes allocate without end: the system's allocator takes a fifth of their time.
#[cfg(feature = "swarm")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    mayfly_cli::main()
}
