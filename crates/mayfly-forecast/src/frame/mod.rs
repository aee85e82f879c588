//! Series in memory: columns plus offsets, checked and on their grids.
mod build;
mod fill;
mod options;
mod read;
mod series;

pub use options::{Columns, Duplicates, Fill, FrameOptions};
pub(crate) use series::About;
pub use series::{Series, SeriesFrame};
