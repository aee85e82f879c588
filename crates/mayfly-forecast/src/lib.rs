//! Series in, forecasts with intervals out.
#![forbid(unsafe_code)]

pub mod calendar;
mod error;
mod frame;
mod names;

pub use error::{ForecastError, Result};
pub use frame::{Columns, Duplicates, Fill, FrameOptions, Series, SeriesFrame};
