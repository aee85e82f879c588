//! A model in use: the live version, and a canary beside it, exchanged while calls go on.

use crate::proto::modelspb::Canary;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A version that is loaded.
#[derive(Debug)]
pub struct Served<T> {
    /// Which one.
    pub version: u64,
    /// What was made of its bytes. It is let go when the last call that uses it is over.
    pub model: T,
    seen: Seen,
}

/// What was seen of a version's calls.
#[derive(Debug, Default)]
struct Seen {
    calls: AtomicU64,
    errors: AtomicU64,
    /// By steps of a quarter of a power of two, in nanoseconds: enough for a p95 within 20 %.
    times: Times,
}

const STEPS: usize = 160;

#[derive(Debug)]
struct Times([AtomicU64; STEPS]);

impl Default for Times {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Times {
    fn step(time: Duration) -> usize {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(4);
        let power = ns.ilog2() as usize;
        let quarter = (ns >> (power - 2)) as usize & 3;
        (power * 4 + quarter).min(STEPS - 1)
    }

    fn add(&self, time: Duration) {
        self.0[Self::step(time)].fetch_add(1, Ordering::Relaxed);
    }

    /// The step of the p95.
    fn p95(&self) -> Option<usize> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut upto = 0;
        counts.iter().position(|count| {
            upto += count;
            all > 0 && upto * 20 >= all * 19
        })
    }
}

struct Pair<T> {
    live: Option<Arc<Served<T>>>,
    canary: Option<(Arc<Served<T>>, Canary)>,
}

/// A model in use. Calls take what is live now; an exchange changes what calls take that come after it, and no call waits for it or fails.
pub struct Live<T> {
    pair: ArcSwap<Pair<T>>,
    turn: AtomicU64,
}

/// Which version a call takes.
#[derive(Debug)]
pub struct Chosen<T> {
    /// Whose answer counts.
    pub answers: Arc<Served<T>>,
    /// Who is asked beside it, for comparison alone.
    pub shadow: Option<Arc<Served<T>>>,
}

impl<T> Default for Live<T> {
    fn default() -> Self {
        Self { pair: ArcSwap::from_pointee(Pair { live: None, canary: None }), turn: AtomicU64::new(0) }
    }
}

impl<T> Live<T> {
    /// Who takes the next call. None before anything was live.
    pub fn choose(&self) -> Option<Chosen<T>> {
        let pair = self.pair.load();
        let live = pair.live.clone()?;
        let Some((canary, how)) = &pair.canary else { return Some(Chosen { answers: live, shadow: None }) };
        if how.shadow {
            return Some(Chosen { answers: live, shadow: Some(canary.clone()) });
        }
        // Spread evenly: of each thousand calls in a row exactly as many as were asked for.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let share = u64::from(how.permille.min(1_000));
        let is_canary = turn.wrapping_add(1).wrapping_mul(share) / 1_000 != turn.wrapping_mul(share) / 1_000;
        Some(Chosen { answers: if is_canary { canary.clone() } else { live }, shadow: None })
    }

    /// Whoever is live here.
    pub fn live(&self) -> Option<Arc<Served<T>>> {
        self.pair.load().live.clone()
    }

    /// The version that is live here.
    pub fn version(&self) -> Option<u64> {
        self.pair.load().live.as_ref().map(|live| live.version)
    }

    /// The version that is tried here.
    pub fn canary(&self) -> Option<u64> {
        self.pair.load().canary.as_ref().map(|(canary, _)| canary.version)
    }

    /// Calls that come from now on take these. `load` makes a version that is not here yet; when it fails, nothing changes.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn exchange<E>(
        &self,
        live: Option<u64>,
        canary: Option<(u64, Canary)>,
        mut load: impl FnMut(u64) -> Result<T, E>,
    ) -> Result<(), E> {
        let now = self.pair.load_full();
        let here = [now.live.clone(), now.canary.as_ref().map(|(canary, _)| canary.clone())];
        let mut get = |version: u64| -> Result<Arc<Served<T>>, E> {
            match here.iter().flatten().find(|served| served.version == version) {
                Some(served) => Ok(served.clone()),
                None => Ok(Arc::new(Served { version, model: load(version)?, seen: Seen::default() })),
            }
        };
        let live = live.map(&mut get).transpose()?;
        let canary = canary.map(|(version, how)| Ok::<_, E>((get(version)?, how))).transpose()?;
        self.pair.store(Arc::new(Pair { live, canary }));
        Ok(())
    }

    /// Why the canary must go, if one of its guards says so.
    pub fn breach(&self) -> Option<(u64, String)> {
        let pair = self.pair.load();
        let (canary, how) = pair.canary.as_ref()?;
        let calls = canary.seen.calls.load(Ordering::Relaxed);
        if calls < u64::from(how.least_calls.max(1)) {
            return None;
        }
        let errors = canary.seen.errors.load(Ordering::Relaxed);
        if errors * 1_000 > calls * u64::from(how.most_errors_permille) {
            return Some((canary.version, format!("{errors} of {calls} calls failed or were not finite")));
        }
        let (own, live) = (canary.seen.times.p95()?, pair.live.as_ref()?.seen.times.p95()?);
        let ratio = 2_f64.powf((own as f64 - live as f64) / 4.0);
        let is_slow = how.most_p95_percent > 0 && ratio * 100.0 > f64::from(how.most_p95_percent);
        is_slow.then(|| (canary.version, format!("its p95 is {ratio:.1} times the live one's, over {calls} calls")))
    }
}

impl<T> Served<T> {
    /// Calls it, and notes how long that took and whether it failed; `is_fit` says whether an answer is one: finite, for numbers.
    ///
    /// # Errors
    /// Those of the call.
    pub fn call<A, E>(&self, call: impl FnOnce(&T) -> Result<A, E>, is_fit: impl FnOnce(&A) -> bool) -> Result<A, E> {
        let begun = Instant::now();
        let outcome = call(&self.model);
        self.note(begun.elapsed(), outcome.as_ref().is_ok_and(is_fit));
        outcome
    }

    /// Notes a call that was made otherwise.
    pub fn note(&self, time: Duration, is_fit: bool) {
        self.seen.times.add(time);
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        if !is_fit {
            self.seen.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls and failures so far.
    pub fn seen(&self) -> (u64, u64) {
        (self.seen.calls.load(Ordering::Relaxed), self.seen.errors.load(Ordering::Relaxed))
    }
}
