//! Training: steps over shards, epochs over data, checkpoints.
mod checkpoint;
mod config;
mod diverge;
mod engine;
mod evaluate;
mod fit;
mod flat;
mod groups;
mod penalty;
mod read;
mod report;
mod state;
mod trainer;

pub(crate) use config::BIT_FAIL_LIMIT;
pub use config::{BatchRows, StopAt, TrainConfig};
pub use evaluate::mean_loss;
pub use groups::ParamGroup;
pub use penalty::{GradientHook, GradientInfo, Penalty, PenaltyForm};
pub use report::{BatchReport, Control, EpochReport, FitReport, Observer, Stopped};
pub use trainer::Trainer;
