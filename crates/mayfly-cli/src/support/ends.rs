//! Errors that say more than a message: what the command's exit depends on.
use serde_json::Value;
use std::fmt;

/// What a command line asks for that cannot be done, and what to do instead.
#[derive(Debug)]
pub struct Usage(pub String);

/// A failure that says more than a message under `--json`.
#[derive(Debug)]
#[cfg_attr(not(any(feature = "packs", feature = "swarm")), allow(dead_code))] // `mayfly pack` and `mayfly mesh` make them
pub struct Detailed {
    pub message: String,
    /// Printed in place of `{"error": message}`.
    pub object: Value,
}

/// Whoever read standard output has closed it. That is no failure: they have seen enough.
#[derive(Debug)]
pub struct Closed;

/// A signal came, and what was under way was given up without a trace.
#[derive(Debug)]
pub struct Interrupted(pub u8);

/// What this command stood for is over: the exit code says how.
#[derive(Debug)]
#[cfg_attr(not(feature = "swarm"), allow(dead_code))] // `mayfly mesh lock` makes them
pub struct Ended {
    pub code: u8,
    pub how: &'static str,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (exit code {})", self.how, self.code)
    }
}

impl std::error::Error for Ended {}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Detailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}; nothing was written", self.0)
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Detailed {}
impl std::error::Error for Closed {}
impl std::error::Error for Interrupted {}
