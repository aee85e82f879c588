//! What the kernels mean: plain loops in f64, for tests and for interpreters.

mod attention;
mod conv;
mod elementwise;
mod fft;
mod linear;
mod loss;
mod moves;
mod norm;
mod optim;
mod recurrent;
mod reduce;

pub use attention::*;
pub use conv::*;
pub use elementwise::*;
pub use fft::*;
pub use libm::{cos, exp, log as ln, sin, sqrt, tanh};
pub use linear::*;
pub use loss::*;
pub use moves::*;
pub use norm::*;
pub use optim::*;
pub use recurrent::*;
pub use reduce::*;
