//! Slots of protected pages.
mod config;
mod protection;
mod refusal;
mod region;
mod secret;
mod shelf;
mod slab;
mod slot;
mod smaps;
mod system;
mod vault;

pub use config::{Level, Mode, VaultConfig, VaultError};
pub use protection::{Hold, Protection};
pub use secret::Secret;
pub use slot::Slot;
pub use system::process_is_hidden;
pub use vault::{Stats, Vault};
