//! The gated cases, each callable any number of times: `counts list`, `counts run CASE CALLS`.
//!
//! `cargo xtask gates` runs it under callgrind, and reads the allocations that the calls made from its output.

mod allocations;
mod cases;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["list"] => Ok(cases::names().join("\n")),
        ["run", case, calls] => run(case, calls).map(|allocations| allocations.to_string()),
        _ => Err("usage: counts list | counts run CASE CALLS".into()),
    };
    match &done {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("counts: {error}"),
    }
    ExitCode::from(u8::from(done.is_err()))
}

/// Makes the calls; returns the allocations they made.
fn run(case: &str, calls: &str) -> Result<u64, String> {
    let calls: u64 = calls.parse().map_err(|_| format!("`{calls}` is no number of calls"))?;
    let mut call = cases::prepare(case)?;
    let before = allocations::count();
    for _ in 0..calls {
        call();
    }
    Ok(allocations::count() - before)
}
