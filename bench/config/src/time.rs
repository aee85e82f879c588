//! Batches of calls, timed one by one.

use anyhow::{Result, bail};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

#[derive(Clone, Copy)]
pub struct Plan {
    pub batches: usize,
    pub calls: usize,
}

/// Nanoseconds a call, of each batch, in order.
pub struct Times(Vec<f64>);

impl Times {
    fn sorted(mut ns: Vec<f64>) -> Self {
        ns.sort_by(f64::total_cmp);
        Self(ns)
    }

    pub fn at(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// A batch: the numbers of its calls count up, over all batches.
fn batch(plan: Plan, from: usize, call: &mut dyn FnMut(usize) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for i in from..from + plan.calls {
        call(i)?;
    }
    Ok(start.elapsed().as_nanos() as f64 / plan.calls as f64)
}

/// One thread. A tenth of the batches go before, untimed.
pub fn alone(plan: Plan, mut call: impl FnMut(usize) -> Result<()>) -> Result<Times> {
    let (warm, mut ns) = (plan.batches / 10 + 1, Vec::with_capacity(plan.batches));
    for i in 0..warm + plan.batches {
        let time = batch(plan, i * plan.calls, &mut call)?;
        if i >= warm {
            ns.push(time);
        }
    }
    Ok(Times::sorted(ns))
}

/// What one of several threads does.
pub type Job<'a> = Box<dyn FnMut(usize) -> Result<()> + Send + 'a>;

/// What threads share.
struct Race {
    plan: Plan,
    start: Barrier,
    /// Timed threads that have not got all their batches yet.
    left: AtomicUsize,
    is_over: AtomicBool,
}

impl Race {
    /// Everyone goes on until the last has its batches, or those would be measured with less beside them.
    fn run(&self, at: usize, is_timed: bool, job: &mut dyn FnMut(usize) -> Result<()>) -> Result<Vec<f64>> {
        self.start.wait();
        let (mut ns, mut i) = (Vec::with_capacity(self.plan.batches), at * 37);
        while !self.is_over.load(Ordering::Relaxed) {
            let time = batch(self.plan, i, job).inspect_err(|_| self.is_over.store(true, Ordering::Relaxed))?;
            i += self.plan.calls;
            if is_timed && ns.len() < self.plan.batches {
                ns.push(time);
                let is_last = ns.len() == self.plan.batches && self.left.fetch_sub(1, Ordering::Relaxed) == 1;
                self.is_over.fetch_or(is_last, Ordering::Relaxed);
            }
        }
        Ok(ns)
    }
}

/// All at once; the first `timed` of them are timed, together.
pub fn together(plan: Plan, timed: usize, jobs: Vec<Job<'_>>) -> Result<Times> {
    let (start, left) = (Barrier::new(jobs.len()), AtomicUsize::new(timed));
    let race = &Race { plan, start, left, is_over: AtomicBool::new(false) };
    let all = std::thread::scope(|scope| {
        let jobs = jobs.into_iter().enumerate();
        let threads: Vec<_> =
            jobs.map(|(at, mut job)| scope.spawn(move || race.run(at, at < timed, &mut *job))).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")));
        ended.collect::<Result<Vec<_>>>()
    })?;
    Ok(Times::sorted(all.concat()))
}
