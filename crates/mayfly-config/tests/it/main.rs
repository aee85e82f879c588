//! The crate's tests in one program.

mod audience;
mod feed;
mod model;
mod reentrancy;
#[cfg(feature = "schema")]
mod schemas;
mod stress;
mod values;
mod watches;
mod writes;
