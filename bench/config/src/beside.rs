//! Several threads on one store. Times are of the wall: where there are more threads than cores some batches wait for one.

use crate::alone::{KEYS, filled, get, set, watch};
use crate::report::{Bar, GET, Report, SET, WATCH};
use crate::time::{Job, Plan, together};
use anyhow::Result;
use mayfly_config::Config;

type Call = fn(&Config, usize) -> Result<()>;

/// Threads that are timed, with others beside them.
struct Crowd<'a> {
    name: &'a str,
    bar: Option<Bar>,
    timed: (usize, Call),
    beside: (usize, Call),
}

fn row(plan: Plan, report: &mut Report, crowd: Crowd<'_>) -> Result<()> {
    let Crowd { name, bar, timed, beside } = crowd;
    report.row(name, bar, || {
        let config = filled(KEYS)?;
        let config = &config;
        let job = |call: Call| -> Job<'_> { Box::new(move |i| call(config, i)) };
        let jobs = (0..timed.0).map(|_| job(timed.1)).chain((0..beside.0).map(|_| job(beside.1))).collect();
        together(plan, timed.0, jobs)
    })
}

pub fn run(plan: Plan, report: &mut Report) -> Result<()> {
    for n in [1, 2, 4] {
        let name = format!("get by {n} beside a writer");
        row(plan, report, Crowd { name: &name, bar: GET, timed: (n, get), beside: (1, set) })?;
        let name = format!("set beside {n} readers");
        row(plan, report, Crowd { name: &name, bar: SET, timed: (1, set), beside: (n, get) })?;
    }
    row(plan, report, Crowd { name: "set by 8", bar: SET, timed: (8, set), beside: (0, set) })?;
    let name = "watch and unwatch beside a writer";
    row(plan, report, Crowd { name, bar: WATCH, timed: (1, watch), beside: (1, set) })?;
    let name = "watch and unwatch by 4 beside 4 writers";
    row(plan, report, Crowd { name, bar: WATCH, timed: (4, watch), beside: (4, set) })
}
