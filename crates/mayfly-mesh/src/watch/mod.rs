//! Watching keys: etcd's Watch, without a server.
//!
//! A [`Hub`] looks at every change once and notes for each watcher it concerns from which revision on there is something; a [`Watching`], one client's watchers,
//! reads it from history when the client can take it. Nothing is queued and nothing is dropped: a watcher that is slow costs a number, until compaction takes
//! what it has not read, which it is told.

mod hub;
mod index;
mod watching;

pub use hub::Hub;
pub use watching::Watching;
pub(crate) use watching::watched;
