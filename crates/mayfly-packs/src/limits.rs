//! How large anything may be before it is looked at.

use std::time::Duration;

pub(crate) const MANIFEST_BYTES: u64 = 1 << 20;
pub(crate) const ENVELOPE_BYTES: u64 = 64 << 10;
pub(crate) const SIGNATURES: usize = 8;
pub(crate) const MODULE_BYTES: u64 = 8 << 20;
pub(crate) const GOLDEN_BYTES: u64 = 16 << 20;
pub(crate) const TRUST_BYTES: u64 = 4 << 20;
pub(crate) const FUNCTIONS: u64 = 4096;
pub(crate) const EXPORTS: u64 = 1024;
pub(crate) const GLOBALS: u64 = 64;
pub(crate) const ELEMENTS: u64 = 1 << 30;
pub(crate) const MAX_RANK: usize = 8;

/// WebAssembly's page.
pub(crate) const PAGE_BYTES: u64 = 64 << 10;

/// What the host grants any kernel at most, whatever its manifest asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct HostLimits {
    /// Pages of 64 KiB.
    pub max_memory_pages: u64,
    /// Elements of a table.
    pub max_table_elements: u64,
    /// The longest budget of a call.
    pub max_budget: Duration,
    /// The budget of a call that names none.
    pub default_budget: Duration,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            max_memory_pages: 4096,
            max_table_elements: 4096,
            max_budget: Duration::from_secs(60),
            default_budget: Duration::from_secs(10),
        }
    }
}
