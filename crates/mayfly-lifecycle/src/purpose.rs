//! From rows to a network that lives: candidates from small to large, and the smallest that keeps all limits.
use crate::ephemeral::Planned;
use crate::error::{LifeError, Result};
use crate::host::Host;
use crate::lease::Lease;
use crate::limits::{Candidate, Limits, MinScore, Missed};
use crate::task::Task;
use mayfly_format::data::Encoder;
use mayfly_nn::tabular::{Opened, TrainOptions, Trained, Training};
use mayfly_nn::{Control, EpochReport, Measured, Network};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Hidden layers of the candidates, in the order of their cost.
const LADDER: &[&[usize]] = &[&[], &[8], &[16], &[32], &[64], &[64, 32], &[128, 64]];

/// Calls of a candidate that are timed; the median counts.
const TIMED_CALLS: usize = 101;

/// Of two candidates without a score to reach, a larger one has to be better by this much.
const WORTH: f64 = 0.002;

/// A network wanted for the rows of a file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Purpose {
    /// The rows.
    pub data: PathBuf,
    /// How they are read and what is learnt. Layers that are named here are the only candidate.
    pub options: TrainOptions,
    /// What the network must keep to.
    pub limits: Limits,
}

/// A network that was built for a purpose.
pub struct Built {
    /// Ready to live.
    pub planned: Planned,
    /// What makes inputs of raw rows and says what answers mean. Names of categories stand in it.
    pub encoder: Encoder,
    /// Its figures on rows that were held out.
    pub measured: Measured,
    /// Which of the candidates it is.
    pub chosen: usize,
    /// All that were looked at, from small to large.
    pub candidates: Vec<Candidate>,
}

/// The candidate that is best so far.
struct Best {
    at: usize,
    score: f64,
    trained: Trained,
}

impl Host {
    /// Builds the smallest network that keeps all limits, or, where no score is to be reached, the one that is best on rows that were held out. The same
    /// rows, options and machine give the same network, but for a deadline that ends a training.
    ///
    /// # Errors
    /// [`LifeError::Infeasible`] names the limit and what was reached; besides, rows and options that nothing can be learnt from.
    pub fn build_for(&self, purpose: &Purpose) -> Result<Built> {
        self.build_for_until(purpose, &|| false)
    }

    /// As [`Host::build_for`], until `stop` says that it is enough, which is asked after every epoch: with what was learnt until then.
    ///
    /// # Errors
    /// As [`Host::build_for`].
    pub fn build_for_until(&self, purpose: &Purpose, stop: &dyn Fn() -> bool) -> Result<Built> {
        let start = Instant::now();
        let is_over = || stop() || purpose.limits.deadline.is_some_and(|deadline| start.elapsed() >= deadline);
        let ladder: Vec<Option<&[usize]>> = match purpose.options.hidden {
            Some(_) => vec![None],
            None => LADDER.iter().map(|hidden| Some(*hidden)).collect(),
        };
        let (mut candidates, mut best, mut missed) = (Vec::new(), None::<Best>, None);
        for hidden in ladder {
            let training = purpose.training(hidden)?;
            let mut candidate = self.candidate(&training, hidden, &purpose.limits)?;
            let broken = purpose.limits.broken_by(&candidate);
            if broken.is_some() || is_over() {
                missed = missed.or(broken).or(Some(Missed::Deadline));
                candidates.push(candidate);
                break; // those behind it are larger
            }
            let mut watch = |_: &EpochReport| if is_over() { Control::Stop } else { Control::Continue };
            let trained = training.train(&mut watch)?;
            let score = score(&trained.measured, purpose.limits.min_score)?;
            candidate.score = Some(score);
            candidates.push(candidate);
            if best.as_ref().is_none_or(|best| score > best.score + WORTH) {
                best = Some(Best { at: candidates.len() - 1, score, trained });
            }
            if purpose.limits.min_score.is_some_and(|wanted| score >= wanted.least()) {
                break;
            }
        }
        self.finish(purpose, best, candidates, missed)
    }

    /// What a candidate costs, measured before it has learnt anything: its weights change neither.
    fn candidate(&self, training: &Training, hidden: Option<&[usize]>, limits: &Limits) -> Result<Candidate> {
        let network = training.network().ok_or(LifeError::NoFixedSize)?;
        let planned = self.build(&Task::network(network.clone()).precision(limits.precision))?;
        let latency = median_call(&planned)?;
        let (parameters, memory_bytes) = (network.param_count(), planned.instance_bytes());
        Ok(Candidate { hidden: hidden.unwrap_or_default().to_vec(), parameters, latency, memory_bytes, score: None })
    }

    fn finish(
        &self,
        purpose: &Purpose,
        best: Option<Best>,
        candidates: Vec<Candidate>,
        missed: Option<Missed>,
    ) -> Result<Built> {
        let Some(best) = best else {
            return Err(LifeError::Infeasible { missed: missed.unwrap_or(Missed::Deadline), candidates });
        };
        if purpose.limits.min_score.is_some_and(|wanted| !(best.score >= wanted.least())) {
            return Err(LifeError::Infeasible { missed: Missed::Score(best.score), candidates });
        }
        let Trained { predictor, measured, .. } = best.trained;
        let encoder = predictor.encoder.ok_or(LifeError::NoFixedSize)?;
        let network: Network = predictor.model.network;
        let planned = self.build(&Task::network(network).precision(purpose.limits.precision))?;
        Ok(Built { planned, encoder, measured, chosen: best.at, candidates })
    }
}

impl Purpose {
    fn training(&self, hidden: Option<&[usize]>) -> Result<Training> {
        let mut options = self.options.clone();
        if let Some(hidden) = hidden {
            options.hidden = Some(hidden.to_vec());
        }
        Ok(Opened::open(&self.data, &options)?.read()?)
    }
}

fn median_call(planned: &Planned) -> Result<Duration> {
    let fly = planned.lease(&Lease::default())?;
    let (x, mut y) = (vec![0.0; planned.input_len()], vec![0.0; planned.output_len()]);
    let mut times = Vec::with_capacity(TIMED_CALLS);
    for _ in 0..TIMED_CALLS {
        let start = Instant::now();
        fly.call_into(&x, &mut y)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[TIMED_CALLS / 2])
}

/// The score that is wanted, else accuracy of classes and R² of numbers; what is no number is the worst.
fn score(measured: &Measured, wanted: Option<MinScore>) -> Result<f64> {
    let scores = measured.scores();
    let score = match wanted {
        Some(MinScore::Accuracy(_)) => scores.accuracy,
        Some(MinScore::R2(_)) => scores.r2,
        None => scores.accuracy.or(scores.r2),
    };
    match (score, wanted) {
        (None, Some(wanted)) => Err(LifeError::NoSuchScore { score: wanted.name() }),
        _ => Ok(score.filter(|score| score.is_finite()).unwrap_or(f64::NEG_INFINITY)),
    }
}
