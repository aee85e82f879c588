//! `cargo xtask ci`: what must pass before a change lands, cheapest first, with the time of each part.

use crate::process::{FULL, cargo, run, say};
use crate::{gates, test, tidy};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("tidy", || tidy::run(&tidy::Args::default())),
    ("clippy", clippy),
    ("clippy of the default command", clippy_default),
    ("gates", || gates::run_gates(&gates::Args::default())),
    ("test", || test::run_all(&[])),
];

/// A cold run takes at most so long on two cores with nothing else to do.
const COLD_LIMIT: Duration = Duration::from_secs(55 * 60);

/// The share of that time that two cores are busy; the rest is spent on links and on tests that wait.
/// A busy machine stretches the clock and not the processor time, so it is the latter that is held against the limit.
const BUSY: f64 = 2.0 * 0.9;

/// What one part took.
struct Part {
    name: &'static str,
    clock: Duration,
    /// Of all cores; unknown where the system does not say.
    processor: Option<Duration>,
}

pub(crate) fn run_steps() -> Result<()> {
    let mut parts = Vec::new();
    for (name, step) in STEPS {
        let (start, before) = (Instant::now(), processor_time());
        step().with_context(|| format!("ci stopped at {name}"))?;
        let processor = before.and_then(|before| Some(processor_time()?.saturating_sub(before)));
        parts.push(Part { name, clock: start.elapsed(), processor });
    }
    say(&format!("\nci passed\n{}", table(&parts)));
    let is_cold = std::env::var_os("MAYFLY_CI_COLD").is_some_and(|value| value == "1");
    if is_cold { hold(&parts) } else { Ok(()) }
}

/// A line for each part, and the sum.
fn table(parts: &[Part]) -> String {
    let all = Part {
        name: "all",
        clock: parts.iter().map(|part| part.clock).sum(),
        processor: parts.iter().map(|part| part.processor).sum(),
    };
    let seconds = |time: Duration| format!("{:.0} s", time.as_secs_f64());
    let line = |part: &Part| {
        let processor = part.processor.map_or_else(|| "–".into(), seconds);
        format!("  {:<32}{:>8}{:>18}\n", part.name, seconds(part.clock), processor)
    };
    let head = format!("  {:<32}{:>8}{:>18}\n", "", "clock", "processor time");
    parts.iter().chain([&all]).map(line).fold(head, |text, line| text + &line)
}

/// Fails when two quiet cores would take too long.
fn hold(parts: &[Part]) -> Result<()> {
    let Some(processor) = parts.iter().map(|part| part.processor).sum::<Option<Duration>>() else {
        say("this system does not tell processor time: the limit of a cold run was not looked at");
        return Ok(());
    };
    let estimate = processor.div_f64(BUSY);
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    if estimate > COLD_LIMIT {
        bail!(
            "a cold run takes some {:.0} minutes on two quiet cores; the limit is {:.0}\n{}",
            minutes(estimate),
            minutes(COLD_LIMIT),
            table(parts)
        );
    }
    say(&format!("cold, on two quiet cores: some {:.0} minutes of {:.0}", minutes(estimate), minutes(COLD_LIMIT)));
    Ok(())
}

/// Processor time of the processes that were started and have ended, from /proc/self/stat, in its hundredths of a second.
fn processor_time() -> Option<Duration> {
    children_time(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// `cutime` and `cstime`: fields 16 and 17. The name, field 2, is in brackets and may hold anything.
fn children_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

fn format() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let args = ["clippy", "--workspace", "--all-targets", "--quiet"];
    run(cargo(&args).args(FULL).args(["--", "-D", "warnings"]))
}

/// What `cargo build` gives without being asked: some commands only say where they are.
fn clippy_default() -> Result<()> {
    run(&mut cargo(&["clippy", "--package", "mayfly-cli", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read() {
        let stat = "12 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 200 300 1234 766 20 0";
        assert_eq!(children_time(stat), Some(Duration::from_secs(20)));
        assert_eq!(children_time("12 (sh) S 1 2"), None);
    }

    #[test]
    fn a_cold_run_has_a_limit() {
        let parts = |minutes: u64| {
            let processor = Some(Duration::from_secs(minutes * 60));
            [
                Part { name: "test", clock: Duration::ZERO, processor },
                Part { name: "x", clock: Duration::ZERO, processor },
            ]
        };
        assert!(hold(&parts(49)).is_ok());
        let error = hold(&parts(50)).unwrap_err().to_string();
        assert!(error.contains("56 minutes") && error.contains("test"), "{error}");
    }
}
