//! Times as files write them, and the steps between them.
mod civil;
mod feature;
mod freq;
mod infer;
mod stamp;
mod zone;

pub use feature::TimeFeature;
pub(crate) use feature::no_calendar;
pub use freq::{Edge, Freq};
pub use infer::infer;
pub use stamp::{Stamp, StampForm};
pub(crate) use zone::NoInstant;
pub use zone::Zone;
