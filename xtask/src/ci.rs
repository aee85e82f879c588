//! `cargo xtask ci`: what must pass before a change lands, cheapest first, with the time of each step.

use crate::process::{cargo, run, say};
use crate::{gates, test, tidy};
use anyhow::{Context, Result};
use std::time::Instant;

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("tidy", || tidy::run(&tidy::Args::default())),
    ("clippy", clippy),
    ("gates", || gates::run_gates(&gates::Args::default())),
    ("test", || test::run_all(&[])),
];

pub(crate) fn run_steps() -> Result<()> {
    let mut times = Vec::new();
    for (name, step) in STEPS {
        let start = Instant::now();
        step().with_context(|| format!("ci stopped at {name}"))?;
        times.push(format!("{name} {:.0} s", start.elapsed().as_secs_f64()));
    }
    say(&format!("ci passed: {}", times.join(", ")));
    Ok(())
}

fn format() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}
