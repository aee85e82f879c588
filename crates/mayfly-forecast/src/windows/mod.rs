//! Windows of series: which there are, how they are scaled, and how they become rows for the trainer.
mod draw;
#[cfg(test)]
mod golden;
mod held;
mod list;
mod rows;
mod scaler;
mod shape;

pub(crate) use held::Held;
pub use list::{WindowList, WindowSpec};
pub(crate) use rows::{Plan, Rows};
pub use scaler::Scaler;
pub(crate) use scaler::{Fitted, Way};
pub(crate) use shape::{
    Asks, BACK, BACK_LEN, BesideMut, Compare, Counts, FUTR, HIST, INPUT_MASK, KNOWN, PROMPT, RowShape, SHARES, STAT,
    inputs_of,
};
