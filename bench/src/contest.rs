//! Contestants run in turn, round after round, so that whatever the machine does meanwhile meets all of them alike.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// One side of a comparison, ready to be called many times.
pub trait Contestant {
    /// How it is called, for the table.
    fn how(&self) -> String;

    /// What is compared before anything is timed. Called once, before the first round.
    fn answer(&mut self) -> Result<Vec<f64>>;

    /// Makes the calls and says how long they took.
    fn round(&mut self, calls: u64) -> Result<Duration>;
}

/// Times a loop over a call.
pub fn time(calls: u64, mut call: impl FnMut() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(start.elapsed())
}

/// Time of one call in µs, over the rounds.
#[derive(Clone, Copy)]
pub struct Times {
    pub best_us: f64,
    pub median_us: f64,
}

/// How many rounds, and how long one shall take.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    pub length: Duration,
}

/// Runs all contestants interleaved.
pub fn run(contestants: &mut [Box<dyn Contestant>], rounds: Rounds) -> Result<Vec<Times>> {
    let calls =
        contestants.iter_mut().map(|c| calls_per_round(c.as_mut(), rounds.length)).collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::with_capacity(rounds.count); contestants.len()];
    for _ in 0..rounds.count {
        for ((contestant, &calls), times) in contestants.iter_mut().zip(&calls).zip(&mut times) {
            times.push(contestant.round(calls)?.as_secs_f64() * 1e6 / calls as f64);
        }
    }
    Ok(times.into_iter().map(summary).collect())
}

fn summary(mut times: Vec<f64>) -> Times {
    times.sort_by(f64::total_cmp);
    Times { best_us: times[0], median_us: times[times.len() / 2] }
}

/// Doubles the calls until a round is long enough to be measured, which warms up at the same time.
fn calls_per_round(contestant: &mut dyn Contestant, length: Duration) -> Result<u64> {
    let mut calls = 1;
    loop {
        let took = contestant.round(calls)?;
        if took >= length / 4 || calls > 1 << 40 {
            let per_call = took.as_secs_f64() / calls as f64;
            return Ok(((length.as_secs_f64() / per_call) as u64).max(1));
        }
        calls *= 2;
    }
}

/// Fails unless the answers agree within a share of the largest value.
pub fn same(name: &str, got: &[f64], want: &[f64], tolerance: f64) -> Result<()> {
    if got.len() != want.len() {
        bail!("{name} gave {} values, not {}", got.len(), want.len());
    }
    let scale = want.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0f64, f64::max);
    // Not `worst > …`: a NaN must not pass.
    if !got.iter().all(|v| v.is_finite()) || worst > tolerance * scale {
        bail!("{name} gave a wrong answer: off by {worst:.3e}, allowed {:.3e}; it is not timed", tolerance * scale);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_are_refused() {
        assert!(same("x", &[1.0, 2.0], &[1.0, 2.0], 1e-6).is_ok());
        assert!(same("x", &[1.0, 2.1], &[1.0, 2.0], 0.06).is_ok());
        assert!(same("x", &[1.0, 2.1], &[1.0, 2.0], 0.04).is_err());
        assert!(same("x", &[1.0, f64::NAN], &[1.0, 2.0], 1.0).is_err());
        assert!(same("x", &[1.0], &[1.0, 2.0], 1.0).is_err());
    }

    #[test]
    fn rounds_are_summed_up() {
        let times = summary(vec![3.0, 1.0, 2.0]);
        assert_eq!((times.best_us, times.median_us), (1.0, 2.0));
    }
}
