//! From a file to answers: networks trained on data files, and models of every kind with what is done to rows before them and to answers behind.
mod base;
mod file;
mod fold;
mod kind;
mod options;
mod plan;
mod predictor;
mod rows;
mod settings;
mod trained;
mod training;
mod weights;

pub use file::FileOptions;
pub use kind::ModelKind;
pub use options::{ClassWeights, ColumnUse, TrainOptions};
pub use plan::{Plan, plan, plan_like, survey, survey_like};
pub use predictor::{LoadOptions, Predictor};
pub use trained::{Course, Growth, Summary, Trained};
pub use training::{Opened, Parts, RowCounts, Training, TrainingObserver, train, train_with};
