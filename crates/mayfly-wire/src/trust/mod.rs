//! Whom to trust: signed records, the list they make, join tokens, and the files that keep them.

mod book;
mod list;
mod record;
mod sealed_file;
mod store;
mod token;

pub use list::{Change, Merge, TrustList};
pub use record::{Record, SignedRecord};
pub use store::TrustStore;
pub use token::JoinToken;

pub(crate) use book::TokenBook;
