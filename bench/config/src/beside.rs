//! Several threads on one store. Times are of the wall: where there are more threads than cores some batches wait for one.

use crate::alone::{KEYS, Tell, Wanted, filled, get, set, watch};
use crate::report::Row;
use crate::time::{Job, Plan, together};
use anyhow::Result;
use mayfly_config::Config;

type Call = fn(&Config, usize) -> Result<()>;

/// The row of the first group, with another one beside it.
fn row(plan: Plan, name: &str, timed: (usize, Call), beside: (usize, Call)) -> Result<Row> {
    let config = filled(KEYS)?;
    let config = &config;
    let job = |call: Call| -> Job<'_> { Box::new(move |i| call(config, i)) };
    let jobs = (0..timed.0).map(|_| job(timed.1)).chain((0..beside.0).map(|_| job(beside.1))).collect();
    Ok(Row::new(name, together(plan, timed.0, jobs)?))
}

pub fn run(plan: Plan, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<()> {
    for readers in [1, 2, 4] {
        let name = format!("get by {readers} beside a writer");
        if wanted(&name) {
            tell(row(plan, &name, (readers, get), (1, set))?.held(100.0, 103.0));
            tell(row(plan, &format!("set beside {readers} readers"), (1, set), (readers, get))?.held(600.0, 580.0));
        }
    }
    if wanted("set by 8") {
        tell(row(plan, "set by 8", (8, set), (0, set))?.held(600.0, 580.0));
    }
    if wanted("watch and unwatch beside") {
        tell(row(plan, "watch and unwatch beside a writer", (1, watch), (1, set))?.held(250.0, 248.0));
        tell(row(plan, "watch and unwatch by 4 beside 4 writers", (4, watch), (4, set))?.held(250.0, 248.0));
    }
    Ok(())
}
