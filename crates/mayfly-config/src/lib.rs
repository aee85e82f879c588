//! Settings of a process: a store of JSON values that are read and written as types of serde. Changes have one order, are watched without gaps, and may be held
//! to JSON Schemas ([`docs/design/config.md`](https://github.com/mayfly-nn/mayfly/blob/main/docs/design/config.md)).
//!
//! ```
//! use mayfly_config::{Config, Expect};
//!
//! # fn main() -> Result<(), mayfly_config::ConfigError> {
//! let config = Config::new();
//! let mut watch = config.watch_prefix("pump/");
//!
//! let first = config.set("pump/rate", &12.5)?;
//! config.compare_and_set("pump/rate", Expect::At(first), &13.0)?;
//!
//! assert_eq!(*config.get::<f64>("pump/rate")?.unwrap(), 13.0);
//! let mut told = Vec::new();
//! for version in watch.pending()? {
//!     told.push(*version.get::<f64>()?.unwrap());
//! }
//! assert_eq!(told, [12.5, 13.0]);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod batch;
mod config;
mod error;
mod expect;
mod fed;
mod feed;
mod limits;
mod locks;
mod mailbox;
mod prefixes;
mod registry;
mod schemas;
mod scope;
mod shards;
mod snapshot;
mod store;
mod version;
mod watch;

pub use batch::{Batch, Change, Effect};
pub use config::Config;
pub use error::{ConfigError, Lagged, Result, Violation};
pub use expect::{Expect, Revision};
pub use fed::Fed;
pub use feed::Feed;
pub use limits::{Limits, MAX_KEY_BYTES};
pub use snapshot::Snapshot;
pub use version::{Setting, Version, Versioned};
pub use watch::{Told, Watch};
