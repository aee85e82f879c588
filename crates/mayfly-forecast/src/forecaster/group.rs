//! Columns of forecasts, and where they were made.
use crate::frame::Series;

/// A place in a series: so many of its values are seen.
pub(super) type Cut<'a> = (Series<'a>, usize);

/// Columns of forecasts: for each cut, one after another, `h` steps.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) values: Vec<f32>,
}

/// What belongs to one model or baseline: its point forecast, and its intervals by level.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// The point forecast first, then lower and upper bounds as they are written.
    pub(super) columns: Vec<Column>,
    /// Level, and where its bounds are among the columns.
    pub(super) intervals: Vec<(String, [usize; 2])>,
}
