//! Times of many runs.
use std::fmt;
use std::time::Duration;

/// How long spawning and ending took, each time.
pub(crate) struct Times {
    pub(crate) spawn: Vec<Duration>,
    pub(crate) end: Vec<Duration>,
    pub(crate) all: Duration,
}

impl Times {
    pub(crate) fn with_capacity(runs: usize) -> Times {
        Times { spawn: Vec::with_capacity(runs), end: Vec::with_capacity(runs), all: Duration::ZERO }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for times in [&self.spawn, &self.end] {
            let mut times = times.clone();
            times.sort_unstable();
            let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
            write!(f, "{:.2?} / {:.2?} | ", at(0.5), at(0.99))?;
        }
        write!(f, "{:.0}", self.spawn.len() as f64 / self.all.as_secs_f64())
    }
}
