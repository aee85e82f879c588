//! How much history is kept. No clock and no database: time and revisions come in as arguments.

use std::collections::VecDeque;
use std::time::Duration;

/// How often it is looked at what is kept by revisions: etcd's time.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// What is kept by age is looked at so many times while it lasts.
const PARTS: u32 = 10;
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many revisions.
    Revisions(u64),
    /// What was written within so long, a tenth of that more or less.
    For(Duration),
}

pub(crate) struct Retention {
    keep: Keep,
    /// When which revision was the newest.
    seen: VecDeque<(Duration, i64)>,
}

impl Retention {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, seen: VecDeque::new() }
    }

    /// How often it wants to be asked.
    pub(crate) fn every(&self) -> Duration {
        match self.keep {
            Keep::Revisions(_) => EVERY,
            Keep::For(time) => (time / PARTS).min(LONGEST).max(Duration::from_millis(10)),
        }
    }

    /// The revision up to which history is not needed any more.
    pub(crate) fn look(&mut self, now: Duration, revision: i64) -> Option<i64> {
        match self.keep {
            Keep::Revisions(count) => {
                let upto = revision.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX));
                (upto > 1).then_some(upto)
            }
            Keep::For(time) => {
                self.seen.push_back((now, revision));
                let mut upto = None;
                while let Some((_, revision)) = self.seen.pop_front_if(|(at, _)| now.saturating_sub(*at) >= time) {
                    upto = Some(revision);
                }
                upto
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Keep, Retention};
    use std::time::Duration;

    #[test]
    fn by_revisions_the_newest_are_kept() {
        let mut retention = Retention::new(Keep::Revisions(10));
        let upto = [1, 11, 12, 100].map(|revision| retention.look(Duration::ZERO, revision));
        assert_eq!(upto, [None, None, Some(2), Some(90)]);
    }

    /// What was written within the time is never given up; what is older than it by a tenth is.
    #[test]
    fn by_age_the_young_are_kept() {
        let hour = Duration::from_secs(3600);
        let mut retention = Retention::new(Keep::For(hour));
        let (mut written, mut kept_from) = (Vec::new(), 0);
        for step in 0..300_u32 {
            let now = retention.every() * step;
            let revision = i64::from(step * 3 + 1);
            written.push((now, revision));
            if let Some(upto) = retention.look(now, revision) {
                assert!(upto > kept_from, "step {step}");
                kept_from = upto;
            }
            let young = written.iter().filter(|(at, _)| now - *at < hour).map(|(_, revision)| *revision).min();
            assert!(young.is_none_or(|young| kept_from < young), "step {step}: what is young is given up");
            let old = written.iter().filter(|(at, _)| now - *at >= hour).map(|(_, revision)| *revision).max();
            assert_eq!(kept_from, old.unwrap_or(0), "step {step}");
        }
    }
}
