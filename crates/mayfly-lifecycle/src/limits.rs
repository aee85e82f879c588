//! What a network must keep to, and what candidates reach.
use mayfly_nn::Precision;
use std::fmt;
use std::time::Duration;

/// What a network must keep to. What is not said does not bound it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// The median time of a call on this machine.
    pub latency: Option<Duration>,
    /// Bytes of an instance's slot.
    pub memory_bytes: Option<usize>,
    /// From the first look at the rows to the network that is ready.
    pub deadline: Option<Duration>,
    /// The least score on rows that were held out.
    pub min_score: Option<MinScore>,
    /// How weights are kept.
    pub precision: Precision,
}

/// A score that a network must reach.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum MinScore {
    /// Of classes: the share of rows whose class is named right.
    Accuracy(f64),
    /// Of numbers: the share of the variance that is explained.
    R2(f64),
}

impl MinScore {
    /// The least that is enough.
    pub fn least(self) -> f64 {
        match self {
            MinScore::Accuracy(least) | MinScore::R2(least) => least,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            MinScore::Accuracy(_) => "accuracy",
            MinScore::R2(_) => "R²",
        }
    }
}

/// A limit that could not be kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Missed {
    /// The fastest candidate's median time of a call.
    Latency(Duration),
    /// The smallest candidate's bytes.
    MemoryBytes(usize),
    /// No candidate had learnt anything before the deadline.
    Deadline,
    /// The best score.
    Score(f64),
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Latency(best) => write!(f, "latency: the fastest candidate takes {best:?} a call"),
            Missed::MemoryBytes(best) => write!(f, "memory: the smallest candidate takes {best} bytes"),
            Missed::Deadline => write!(f, "deadline: no candidate had learnt anything in time"),
            Missed::Score(best) => write!(f, "score: the best candidate reaches {best:.4} on rows that were held out"),
        }
    }
}

/// A candidate as it was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// Its hidden layers; empty for those of the options.
    pub hidden: Vec<usize>,
    /// Numbers that it learns.
    pub parameters: usize,
    /// The median time of a call.
    pub latency: Duration,
    /// Bytes of an instance.
    pub memory_bytes: usize,
    /// On rows that were held out; none where it was not trained.
    pub score: Option<f64>,
}

impl Limits {
    /// The first limit that the candidate passes, whatever it learns.
    pub(crate) fn broken_by(&self, candidate: &Candidate) -> Option<Missed> {
        if self.memory_bytes.is_some_and(|most| candidate.memory_bytes > most) {
            return Some(Missed::MemoryBytes(candidate.memory_bytes));
        }
        self.latency.filter(|most| candidate.latency > *most).map(|_| Missed::Latency(candidate.latency))
    }
}
