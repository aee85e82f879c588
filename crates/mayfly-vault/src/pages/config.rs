//! What is asked of a vault, and how it refuses.
use super::protection::Protection;
use alloc::string::String;

/// What happens where the system does not give a protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// Take what the system gives; what is missing stands in [`Protection`] and is for the caller to say.
    #[default]
    Best,
    /// Refuse to work with less than everything. The process is also hidden from debuggers of the same user and leaves no core file.
    Strict,
    /// No protection of pages: for measuring what it costs, and for tests that have to find something.
    Off,
}

/// What kind of pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Private anonymous pages: locked, left out of core files, zero in a forked child.
    #[default]
    Private,
    /// Pages that the kernel itself does not map (`memfd_secret`): not even root reads them through `/proc/PID/mem`. A forked child shares them, since
    /// they cannot be wiped for it, so a process with such pages must not fork without `exec`.
    Secret,
}

/// How a vault is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VaultConfig {
    /// What happens where a protection is refused.
    pub level: Level,
    /// What kind of pages.
    pub mode: Mode,
    /// Bytes of all slots together, guards not counted.
    pub limit_bytes: usize,
}

impl Default for VaultConfig {
    /// Best effort, private pages, 1 GiB.
    fn default() -> Self {
        VaultConfig { level: Level::Best, mode: Mode::Private, limit_bytes: 1 << 30 }
    }
}

/// Why there is no slot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The slots that are in use leave no room.
    #[error(
        "the vault is full: {wanted} bytes are wanted, {used} of {limit} are in use; end an instance or raise the limit"
    )]
    Full {
        /// Bytes of the slot that was asked for.
        wanted: usize,
        /// Bytes of slots in use.
        used: usize,
        /// The vault's limit.
        limit: usize,
    },
    /// The system refused pages.
    #[error("the system refuses {bytes} bytes of pages: {what} failed with error {errno}")]
    NoPages {
        /// Bytes of address space.
        bytes: usize,
        /// The call that failed.
        what: &'static str,
        /// The system's error number.
        errno: i32,
    },
    /// A strict vault got less than everything.
    #[error("memory is not protected as `strict` demands: {held}; {remedy}")]
    Unprotected {
        /// What held.
        held: Protection,
        /// What to do.
        remedy: String,
    },
    /// The process could not be hidden, which a strict vault demands.
    #[error("the process cannot be hidden as `strict` demands: {what} failed with error {errno}")]
    Exposed {
        /// The call that failed.
        what: &'static str,
        /// The system's error number.
        errno: i32,
    },
}
