//! What the groups share.
pub mod answers;
#[cfg(feature = "swarm")]
pub mod child;
pub mod config;
pub mod data;
mod ends;
pub mod exit;
#[cfg(feature = "forecast")]
pub mod heat;
pub mod input;
pub mod metrics;
pub mod model;
pub mod output;
#[cfg(feature = "forecast")]
pub mod panels;
pub mod plot;
pub mod signals;
pub mod text;
pub mod ui;
