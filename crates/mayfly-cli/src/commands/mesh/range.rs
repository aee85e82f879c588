//! Which keys a command is about.

use clap::Args;
use std::ffi::OsString;

/// One key or many.
#[derive(Args, Debug)]
pub struct Range {
    /// The key, or the first one of a range
    pub key: OsString,
    /// Where the range ends: the first key that does not belong to it
    pub range_end: Option<OsString>,
    /// All keys that start with KEY
    #[arg(long, conflicts_with_all = ["range_end", "from_key"])]
    pub prefix: bool,
    /// All keys from KEY on
    #[arg(long, conflicts_with = "range_end")]
    pub from_key: bool,
}
