//! Small neural networks that are built for a job, run where the data is and dissolve without a trace.
//!
//! From a data file to a saved model, which is the same that `mayfly train` makes, bit for bit:
//!
//! ```
//! use mayfly::prelude::*;
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/");
//! # let (data, file) = (format!("{folder}iris.csv"), std::env::temp_dir().join("mayfly-doc-iris.mayfly"));
//! let options = TrainOptions { target: vec!["class".into()], epochs: Some(100), ..TrainOptions::default() };
//! let trained = tabular::train(&data, &options)?;
//! println!("accuracy {:?}", trained.summary.scores.accuracy);
//! trained.save(&file)?;
//! # assert!(trained.summary.scores.accuracy > Some(0.8) && Predictor::load(&file)?.encoder.is_some());
//! # std::fs::remove_file(&file).ok();
//! # Ok::<(), NnError>(())
//! ```
//!
//! A network of one's own, on rows in memory:
//!
//! ```
//! use mayfly::prelude::*;
//!
//! // Exclusive or: four rows, two inputs, one target.
//! let rows = [([0.0, 0.0], [0.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0]), ([1.0, 1.0], [0.0])];
//! let mut data = InMemory::from_rows(rows)?;
//! let spec = NetworkSpec::dense(2, &[8], Act::Tanh.into(), 1, Act::Sigmoid.into());
//! let config = TrainConfig { epochs: 500, ..TrainConfig::new(Algorithm::Adam(Adam { lr: 0.02, ..Adam::default() })) };
//! let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
//! trainer.fit(&mut data, None, &mut ())?;
//!
//! // A session runs without allocating, and leaves zeros behind when it is dropped.
//! let mut session = trainer.into_network().session(1, Precision::F32)?;
//! assert!(session.infer(&[0.0, 1.0])?[0] > 0.5 && session.infer(&[1.0, 1.0])?[0] < 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The examples of this crate go on from here: data files, series, images, functions of one's own. The parts behind it can be used by themselves:
//!
//! - [`nn`]: layers, training, FANN networks, ONNX, model files
//! - [`forecast`]: series in, forecasts with intervals out
//! - [`graph`]: operations, gradients, plans and sessions
//! - [`format`]: data files in, model files in and out
//! - [`kernels`]: SIMD kernels over slices
//! - [`base`]: seeded randomness
#![forbid(unsafe_code)]

pub use mayfly_base as base;
pub use mayfly_forecast as forecast;
pub use mayfly_format as format;
pub use mayfly_graph as graph;
pub use mayfly_kernels as kernels;
pub use mayfly_nn as nn;

/// What most programs need.
pub mod prelude {
    pub use crate::format::data::{Encoder, FitOptions, Outputs, Split, Table, Tables, Want, load, load_with};
    pub use crate::nn::tabular::{ClassWeights, ColumnUse, FileOptions, Predictor, TrainOptions, Trained};
    pub use crate::nn::{
        Act, Activation, Adam, Algorithm, Control, Conv2d, Custom, CustomActivation, CustomLayer, Dense, Dropout,
        EpochReport, FannAct, Flatten, InMemory, Init, LayerCx, Loss, Lstm, Model, Network, NetworkSpec, NnError,
        NodeId, Pool2d, Pooling, Precision, Registry, Reshape, Rprop, StopAt, TrainConfig, Trainer, classification,
        tabular,
    };
}
