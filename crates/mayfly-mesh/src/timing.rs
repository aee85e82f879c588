//! How long things take, counted in steps of two as Prometheus has it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The shortest step is half a millisecond, the longest over 16 s.
const STEPS: usize = 16;
const FIRST_US: u64 = 500;

/// So many took at most so long.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    steps: [AtomicU64; STEPS],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(step) = (0..STEPS).find(|step| us <= FIRST_US << step) {
            self.steps[step].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many took at most so many seconds, for each step; how many there were, and how long they took together.
    pub(crate) fn read(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let mut upto = 0;
        let step = |(step, count): (usize, &AtomicU64)| {
            upto += count.load(Ordering::Relaxed);
            ((FIRST_US << step) as f64 / 1e6, upto)
        };
        let steps = self.steps.iter().enumerate().map(step).collect();
        // Read after the steps, so that no step has more than there are.
        let (count, sum_us) = (self.count.load(Ordering::Relaxed), self.sum_us.load(Ordering::Relaxed));
        (steps, count, sum_us as f64 / 1e6)
    }
}

/// How long a disk takes.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Flushes that clients wait for: of the log, or of the database where there is none.
    pub(crate) flushes: Histogram,
    /// All transactions.
    pub(crate) commits: Histogram,
}

impl Times {
    pub(crate) fn committed(&self, is_flushed: bool, time: Duration) {
        self.commits.add(time);
        if is_flushed {
            self.flushes.add(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;
    use std::time::Duration;

    #[test]
    fn what_is_added_is_in_its_step_and_all_above() {
        let histogram = Histogram::default();
        for ms in [0, 1, 3, 600_000] {
            histogram.add(Duration::from_millis(ms));
        }
        let (steps, count, sum) = histogram.read();
        let at = |seconds: f64| steps.iter().find(|(step, _)| *step >= seconds).map(|(_, count)| *count);
        assert_eq!((at(0.0005), at(0.001), at(0.004), at(16.0)), (Some(1), Some(2), Some(3), Some(3)));
        assert_eq!((count, sum), (4, 600.004));
    }
}
