//! Networks and training: layers, losses, optimisers, trainers, FANN's algorithms, model files.
//!
//! ```
//! use mayfly_nn::{Act, InMemory, Network, NetworkSpec, TrainConfig, Trainer};
//!
//! let mut data = InMemory::from_rows([([0.0, 0.0], [0.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0]), ([1.0, 1.0], [0.0])])?;
//! let spec = NetworkSpec::dense(2, &[8], Act::Tanh.into(), 1, Act::Sigmoid.into());
//! let mut trainer = Trainer::new(Network::new(spec, 1)?, TrainConfig { epochs: 500, ..TrainConfig::default() })?;
//! trainer.fit(&mut data, None, &mut ())?;
//! let outputs = trainer.network().predict(&[0.0, 1.0])?;
//! assert_eq!(outputs.len(), 1);
//! # Ok::<(), mayfly_nn::NnError>(())
//! ```
//!
//! - [`NetworkSpec`] is plain data: the shape of a row and a list of [`LayerSpec`]s. [`NetworkSpec::lower`] writes it into a [`Graph`].
//! - [`Network`] is a description with its parameters, one flat array; [`SharedNetwork`] its weights packed once for many sessions.
//! - [`Trainer`] takes a network, a [`TrainConfig`] and a [`Dataset`]; its results have the same bits at any number of threads and after any resume.
//! - [`InputGradients`] are those of a network's outputs with respect to its inputs.
//! - [`Model`] is a network with its preprocessing and figures, in a file.
//! - [`tabular::train`] makes one of a data file in one call, [`tabular::Predictor`] answers with it.
//! - Own activations, layers and losses: [`Custom`], [`CustomLayer`], [`Loss::Custom`]; [`Registry`] finds them again when a file is loaded.
#![forbid(unsafe_code)]

mod activation;
mod algorithm;
mod bits;
mod data;
mod error;
pub mod fann;
mod init;
mod input_gradients;
mod layers;
mod loss;
mod lower;
mod metrics;
mod model;
mod network;
pub mod onnx;
mod optimiser;
mod prepared;
mod quantise;
mod registry;
mod scale;
mod schedule;
mod shared;
mod spec;
mod stream;
pub mod tabular;
mod train;

pub use activation::Activation;
pub use algorithm::{
    Adagrad, Adam, AdamW, Algorithm, Batch, Incremental, Lion, Quickprop, RmsProp, Rprop, Sarprop, Sgd,
};
pub use data::{Borrowed, Dataset, InMemory, Order, RowsOf, WEIGHT, balanced_class_weights, class_of};
pub use error::{Divergence, NnError, Result};
pub use init::{Init, ParamInit, Part};
pub use input_gradients::{Gradients, InputGradients};
pub use layers::*;
pub use loss::{CustomLoss, FannError, Loss};
pub use mayfly_graph::{
    Act, CustomActivation, CustomOp, Dims, FannAct, Graph, NodeId, ParamInfo, Precision, Role, Session, Shape,
};
pub use metrics::{
    Classification, ClassificationTally, Figures, Measured, Over, Regression, RegressionTally, Scores, Tally,
    classification, regression,
};
pub use model::Model;
pub use network::{Mask, Network};
pub use optimiser::{Optimiser, StepInfo, Stretch};
pub use prepared::PreparedNetwork;
pub use registry::Registry;
pub use scale::Scale;
pub use schedule::Schedule;
pub use shared::SharedNetwork;
pub use spec::{ExtraInput, Lowered, Mode, NetworkSpec};
pub use stream::Streamed;
pub use train::{
    BatchReport, BatchRows, Control, EpochReport, FitReport, GradientHook, GradientInfo, Observer, ParamGroup, Penalty,
    PenaltyForm, StopAt, Stopped, TrainConfig, Trainer, mean_loss,
};
