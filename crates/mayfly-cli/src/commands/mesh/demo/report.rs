//! What the demo measured, and what it found.

use super::super::args::DemoArgs;
use super::check::{Call, Change, What, count_gaps, count_lost, linearizable};
use crate::commands::swarm::percentile;
use crate::support::ui::grouped;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Something that was done to the processes.
pub struct Mark {
    pub at_us: u64,
    pub text: String,
    pub is_kill: bool,
}

pub struct Played {
    pub nodes: usize,
    pub seconds: u64,
    pub marks: Vec<Mark>,
    /// The seed that was drawn from, and how often what was drawn.
    faults: Option<(u64, BTreeMap<&'static str, usize>)>,
    /// When each acknowledged write was asked for and answered, in microseconds, by when it was answered.
    pub writes: Vec<(u64, u64)>,
    calls: usize,
    unknown: usize,
    per_second: f64,
    ms: Vec<f64>,
    failover_ms: Vec<f64>,
    lost: usize,
    verdict: Result<(), String>,
    gaps: usize,
    are_equal: bool,
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

impl Played {
    pub fn new(
        args: &DemoArgs,
        faults: BTreeMap<&'static str, usize>,
        calls: Vec<Call>,
        told: &[Vec<Change>],
        history: &[Change],
        marks: Vec<Mark>,
        are_equal: bool,
    ) -> Self {
        let write = |call: &Call| match (&call.what, &call.answer) {
            (What::Put { .. }, Some(answer)) => Some((call.asked_us, answer.at_us)),
            _ => None,
        };
        let mut writes: Vec<(u64, u64)> = calls.iter().filter_map(write).collect();
        writes.sort_unstable_by_key(|(_, answered)| *answered);
        let calm_us = marks.first().map_or(0, |mark| mark.at_us);
        let calm: Vec<_> = writes.iter().filter(|(_, answered)| *answered < calm_us).collect();
        let failover_ms = marks.iter().filter(|mark| mark.is_kill).filter_map(|mark| failover(&writes, mark.at_us));
        Self {
            nodes: args.nodes.into(),
            seconds: args.seconds,
            faults: (!args.faults.is_empty()).then_some((args.seed, faults)),
            per_second: calm.len() as f64 / (calm_us as f64 / 1e6),
            ms: sorted(calm.iter().map(|(asked, answered)| (answered - asked) as f64 / 1e3).collect()),
            failover_ms: sorted(failover_ms.collect()),
            lost: count_lost(&calls, history),
            verdict: linearizable(&calls, history),
            gaps: told.iter().map(|told| count_gaps(told, history)).sum(),
            unknown: calls.iter().filter(|call| call.answer.is_none()).count(),
            calls: calls.len(),
            are_equal,
            writes,
            marks,
        }
    }
}

impl Played {
    /// Was every promise kept?
    pub fn is_fine(&self) -> bool {
        self.lost == 0 && self.verdict.is_ok() && self.gaps == 0 && self.are_equal
    }
}

/// Milliseconds from a kill to the first answer to a write that was asked for after it.
fn failover(writes: &[(u64, u64)], killed_us: u64) -> Option<f64> {
    let from = writes.partition_point(|(_, answered)| *answered < killed_us);
    let first = writes[from..].iter().find(|(asked, _)| *asked >= killed_us)?;
    Some((first.1 - killed_us) as f64 / 1e3)
}

fn figures(played: &Played) -> Value {
    json!({
        "writes_per_s": played.per_second.round(),
        "p50_ms": percentile(&played.ms, 50), "p95_ms": percentile(&played.ms, 95), "p99_ms": percentile(&played.ms, 99),
        "failover_ms_p95": percentile(&played.failover_ms, 95), "leaders_killed": played.failover_ms.len(),
        "requests": played.calls, "without_answer": played.unknown,
        "lost_acknowledged": played.lost, "linearizable": played.verdict.is_ok(), "contradiction": played.verdict.clone().err(),
        "watch_gaps": played.gaps, "replicas_equal": played.are_equal,
    })
}

impl Played {
    /// For whoever looks into what went wrong.
    pub fn report(&self) -> String {
        let marks = self.marks.iter().map(|mark| format!("{:.3} s: {}\n", mark.at_us as f64 / 1e6, mark.text));
        format!("{:#}\n{}", json(self, None), marks.collect::<String>())
    }
}

/// Ours, and etcd's beside it.
pub fn json(ours: &Played, theirs: Option<&Played>) -> Value {
    let mut all = figures(ours);
    all["nodes"] = ours.nodes.into();
    all["seconds"] = ours.seconds.into();
    if let Some((seed, faults)) = &ours.faults {
        all["seed"] = (*seed).into();
        all["faults"] = json!(faults);
    }
    if let Some(theirs) = theirs {
        all["etcd"] = figures(theirs);
    }
    all
}

pub fn text(ours: &Played, theirs: Option<&Played>) -> String {
    let both = [Some(ours), theirs];
    let row = |name: &str, value: &dyn Fn(&Played) -> String, note: &str| {
        let values: String = both.iter().flatten().map(|played| format!("{:>12}", value(played))).collect();
        format!("  {name:<14}{values}  {note}\n")
    };
    let ms = |sorted: &[f64], percent| format!("{:.1} ms", percentile(sorted, percent));
    let mut text = format!("\n{} processes, {} requests\n\n", ours.nodes, grouped(ours.calls));
    if let Some((seed, faults)) = &ours.faults {
        let faults: Vec<String> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        text += &format!("  faults from seed {seed}: {}\n\n", faults.join(", "));
    }
    if theirs.is_some() {
        text += &format!("  {:<14}{:>12}{:>12}\n", "", "mayfly", "etcd");
    }
    text +=
        &row("writes", &|p| format!("{}/s", grouped(p.per_second as usize)), "by 8 clients, while nothing was broken");
    text += &row("", &|p| ms(&p.ms, 50), "the middle one, on the disks of a majority when acknowledged");
    text += &row("", &|p| ms(&p.ms, 95), "95 of 100 were faster");
    let kills = ours.failover_ms.len();
    text += &row(
        "failover",
        &|p| ms(&p.failover_ms, 95),
        &format!("from kill -9 of the leader to the next write, 95 of 100 of {kills}"),
    );
    text += &row(
        "no answer",
        &|p| grouped(p.unknown),
        "requests that were cut off or refused meanwhile: clients asked again",
    );
    text += &row("lost", &|p| p.lost.to_string(), "acknowledged writes that are not there");
    text += &row(
        "linearizable",
        &|p| if p.verdict.is_ok() { "yes" } else { "NO" }.into(),
        "all that clients saw, against the clock",
    );
    text += &row("watch gaps", &|p| p.gaps.to_string(), "changes that a watcher of a member missed or saw twice");
    text +=
        &row("replicas", &|p| if p.are_equal { "equal" } else { "DIFFER" }.into(), "by the hash of their histories");
    for played in both.iter().flatten() {
        if let Err(contradiction) = &played.verdict {
            text += &format!("\n{contradiction}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::failover;

    #[test]
    fn a_failover_ends_with_a_write_that_was_asked_for_after_the_kill() {
        let writes = [(0, 5_000), (8_000, 12_000), (9_500, 20_000), (10_500, 310_000), (200_000, 320_000)];
        assert_eq!(failover(&writes, 10_000), Some(300.0));
        assert_eq!(failover(&writes, 250_000), None);
    }
}
