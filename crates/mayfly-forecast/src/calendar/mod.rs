//! Times as files write them, and the steps between them.
mod civil;
mod freq;
mod infer;
mod stamp;

pub use freq::{Edge, Freq};
pub use infer::infer;
pub use stamp::{Stamp, StampForm};
