//! Windows of series: which there are, how they are scaled, and how they become rows for the trainer.
mod draw;
mod held;
mod list;
mod rows;
mod scaler;
mod shape;

pub(crate) use held::Held;
pub use list::{WindowList, WindowSpec};
pub(crate) use rows::{Plan, Rows};
pub(crate) use scaler::Fitted;
pub use scaler::Scaler;
pub(crate) use shape::{
    Asks, BACK, BACK_LEN, BesideMut, Compare, Counts, FUTR, HIST, INPUT_MASK, KNOWN, RowShape, STAT, inputs_of,
};
