//! What a watcher or a snapshot is about.

use std::sync::Arc;

/// One key, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Key(Arc<str>),
    Prefix(Arc<str>),
}
