//! Whom to trust: signed records, the list they make, join tokens, and the files that keep them.

mod book;
mod exchange;
mod list;
mod record;
mod rule;
mod sealed_file;
mod store;
#[cfg(test)]
mod tests;
mod token;

pub use exchange::{PAGE_BYTES, TrustAnswer, TrustAsk, TrustExchange, TrustNews};
pub use list::{Admitted, Change, Merge, TrustList};
pub use record::{Record, SignedRecord};
pub use store::TrustStore;
pub use token::JoinToken;

pub(crate) use book::TokenBook;
pub(crate) use exchange::{ListPage, pages_of};
