//! How good predictions are. Every figure of the library and of the command line is computed here, and only here.
mod classification;
mod measured;
mod regression;
mod tally;

pub use classification::{Classification, ClassificationTally, classification};
pub use measured::{Measured, Over, Scores};
pub use regression::{Regression, RegressionTally, regression};
pub use tally::{Figures, Tally};
