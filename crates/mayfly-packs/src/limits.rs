//! How large anything may be before it is looked at.

use std::time::Duration;

pub(crate) const MANIFEST_BYTES: u64 = 1 << 20;
pub(crate) const ENVELOPE_BYTES: u64 = 64 << 10;
pub(crate) const SIGNATURES: usize = 8;
pub(crate) const MODULE_BYTES: u64 = 8 << 20;
pub(crate) const GOLDEN_BYTES: u64 = 16 << 20;
pub(crate) const TRUST_BYTES: u64 = 4 << 20;
/// Each of a store's own files.
pub(crate) const STORE_BYTES: u64 = 8 << 20;
pub(crate) const FUNCTIONS: u64 = 4096;
pub(crate) const EXPORTS: u64 = 1024;
pub(crate) const GLOBALS: u64 = 64;
/// Machine code of a module: some tens of times its bytes.
pub(crate) const ARTEFACT_BYTES: u64 = 512 << 20;
/// Data segments, and element segments.
pub(crate) const SEGMENTS: u64 = 4096;
/// Parameters of a function, and results.
pub(crate) const ARITY: u64 = 128;
/// Locals of a function.
pub(crate) const LOCALS: u64 = 4096;
/// Blocks in each other in a function.
pub(crate) const NESTING: u64 = 512;
// What compiling may cost, in the units of `vet::Effort`: measured in docs/benchmarks.md.
pub(crate) const FUNCTION_STEPS: u64 = 200_000;
pub(crate) const FUNCTION_FLOW: u64 = 200_000;
pub(crate) const FUNCTION_EDGES: u64 = 4096;
pub(crate) const MODULE_STEPS: u64 = 1_000_000;
pub(crate) const MODULE_FLOW: u64 = 1_000_000;
/// Over all kernels of a pack.
pub(crate) const PACK_STEPS: u64 = 4_000_000;
pub(crate) const PACK_FLOW: u64 = 4_000_000;
pub(crate) const ELEMENTS: u64 = 1 << 30;
pub(crate) const MAX_RANK: usize = 8;

/// WebAssembly's page.
pub(crate) const PAGE_BYTES: u64 = 64 << 10;

/// Elements of a tensor with these dimensions; `None` when there would be more than 2^30, counted as if none of them were 0.
/// So every product of some of the dimensions, a stride for instance, stays below that too.
pub(crate) fn elements(dims: impl IntoIterator<Item = u64>) -> Option<u64> {
    let (mut product, mut empty) = (1u64, false);
    for dim in dims {
        empty |= dim == 0;
        product = product.checked_mul(dim.max(1)).filter(|n| *n <= ELEMENTS)?;
    }
    Some(if empty { 0 } else { product })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_stay_small() {
        assert_eq!(elements([]), Some(1));
        assert_eq!(elements([3, 0, 5]), Some(0));
        assert_eq!(elements([1 << 15, 1 << 15]), Some(1 << 30));
        for large in [&[1 << 31][..], &[1 << 15, 1 << 15, 2], &[1 << 32, 1 << 32], &[0, 1 << 20, 1 << 20]] {
            assert_eq!(elements(large.iter().copied()), None, "{large:?}");
        }
    }
}
