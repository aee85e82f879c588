//! Exponential smoothing in all its forms (Hyndman, Koehler, Snyder & Grose 2002; Hyndman & Khandakar 2008; Hyndman, Koehler, Ord & Snyder 2008).
mod admissible;
mod choose;
mod form;
#[cfg(test)]
mod golden;
mod model;
mod recursion;
mod search;
mod slopes;
mod space;
mod start;
mod variance;

pub(super) use choose::ets;
pub use form::EtsForm;
pub use model::Ets;
pub use recursion::EtsWeights;
