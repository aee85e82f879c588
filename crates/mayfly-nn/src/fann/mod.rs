//! Networks of the FANN C library: its files become [`Model`]s and models become its files.
//!
//! A layer becomes a [`Dense`](crate::Dense) layer, which reads all earlier layers in a shortcut network; where neurons of a layer differ in
//! their function or steepness, [`ColumnActivations`](crate::ColumnActivations) follow. Connections that a sparse network lacks are
//! masked. FANN's training and scaling parameters, which have no place in a network, ride along in the model's metadata and are written back.
//!
//! ```no_run
//! let model = mayfly_nn::fann::read("xor.net")?;
//! let outputs = model.predict(&[1.0, -1.0])?;
//! mayfly_nn::fann::write(&model, "copy.net")?;
//! # Ok::<(), mayfly_nn::NnError>(())
//! ```
mod cascade;
mod from_file;
mod scaling;
mod to_file;

pub use cascade::{Cascade, CascadeReport, Cascaded, Stagnation};
pub use from_file::{from_file, read};
pub use scaling::{fold_inputs, fold_outputs, scaling};
pub use to_file::{to_file, write};

use mayfly_format::fann_net::{FannCascade, FannScaling, FannTraining};
use serde::{Deserialize, Serialize};

/// The metadata key of what only FANN knows.
const KEY: &str = "fann";

/// What a FANN file holds besides its network.
#[derive(Serialize, Deserialize)]
struct Extras {
    training: FannTraining,
    cascade: FannCascade,
    scaling: Option<FannScaling>,
}
