//! What the groups share.
pub mod data;
pub mod metrics;
pub mod model;
pub mod plot;
pub mod ui;
