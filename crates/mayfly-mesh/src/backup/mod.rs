//! Backups: what a client's snapshot is, whether it may be believed, and a new cluster from it. `docs/design/mesh.md`.

mod error;
mod inspect;
mod restore;
pub(crate) mod seal;

pub use error::BackupError;
pub use inspect::{Artefact, Backup, Seal, Seat, inspect};
pub use restore::{Restored, Signer, Wish, restore};
