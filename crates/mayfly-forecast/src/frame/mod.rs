//! Series in memory: columns plus offsets, checked and on their grids.
mod append;
mod beside;
mod build;
mod calendar;
mod category;
mod fill;
mod local;
mod options;
mod order;
mod read;
mod rows;
mod scaled;
mod series;

pub use append::Appended;
pub use beside::Table;
pub(crate) use category::plain;
pub use local::LocalScaler;
pub(crate) use local::{LocalScales, SeriesScales};
pub use options::{Category, Columns, Duplicates, Exogenous, Fill, FrameOptions};
pub(crate) use read::{ById, by_id};
pub(crate) use series::{About, Beside};
pub use series::{Series, SeriesFrame};
