//! The `mayfly` command; the library beside it does the work.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mayfly_cli::main()
}
