//! The tables that the rules read. A change of the house is a change here.

use super::layers::{Column, Layer};

/// Every crate, its column and its height. A crate may depend on lower ones of its own column, of the shared ground,
/// and, from `node` upwards, of both columns.
pub(crate) const LAYERS: &[Layer] = &[
    Layer { name: "mayfly-base", column: Column::Shared, height: 0 },
    Layer { name: "mayfly-kernels", column: Column::Neural, height: 0 },
    Layer { name: "mayfly-format", column: Column::Neural, height: 0 },
    Layer { name: "mayfly-graph", column: Column::Neural, height: 1 },
    Layer { name: "mayfly-nn", column: Column::Neural, height: 2 },
    Layer { name: "mayfly-forecast", column: Column::Neural, height: 3 },
    Layer { name: "mayfly-adapt", column: Column::Neural, height: 3 },
    Layer { name: "mayfly-wire", column: Column::Swarm, height: 1 },
    Layer { name: "mayfly-packs", column: Column::Swarm, height: 1 },
    Layer { name: "mayfly-swarm", column: Column::Swarm, height: 2 },
    Layer { name: "mayfly-mesh", column: Column::Swarm, height: 2 },
    Layer { name: "mayfly-market", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-collective", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-fabric", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-router", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-node", column: Column::Top, height: 4 },
    Layer { name: "mayfly", column: Column::Top, height: 5 },
    Layer { name: "mayfly-cli", column: Column::Top, height: 6 },
    Layer { name: "mayfly-serve", column: Column::Top, height: 6 },
    Layer { name: "mayfly-python", column: Column::Top, height: 6 },
    Layer { name: "mayfly-web", column: Column::Top, height: 6 },
    Layer { name: "mayfly-c", column: Column::Top, height: 6 },
    Layer { name: "xtask", column: Column::Tool, height: 0 },
];

/// The crates where `unsafe` may be written: SIMD, the foreign faces, the benchmark's bindings to its peers, and
/// `mayfly-packs` for one call: wasmtime trusts compiled code that it is given back, so loading a cached artefact is unsafe.
/// `src/engine/artefact.rs` holds that call behind a MAC; the crate's `#![deny(unsafe_code)]` keeps every other file free of it.
pub(crate) const UNSAFE_CRATES: &[&str] =
    &["mayfly-packs", "mayfly-kernels", "mayfly-python", "mayfly-c", "mayfly-bench", "mayfly-counts"];

/// The crate whose functions may argue their length in a `// tidy: long, because …` line.
pub(crate) const LONG_BY_COMMENT: &str = "mayfly-kernels";

pub(crate) const MAX_FUNCTION_LINES: usize = 70;
pub(crate) const MAX_FILE_LINES: usize = 1000;

/// Figures to aim at, printed by every run: median and 90th percentile of functions, median of files.
pub(crate) const AIMS: (usize, usize, usize) = (9, 35, 200);

/// A function outside the kernels that may pass the limit, and why.
pub(crate) struct LongFunction {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
}

/// Empty is the aim.
pub(crate) const LONG_FUNCTIONS: &[LongFunction] =
    &[LongFunction { path: "crates/mayfly-nn/tests/common/mod.rs", name: "networks" }]; // a list

/// Words that may appear in no tracked file; `--words FILE` adds to them.
pub(crate) const WORDS: &[&str] = &[];
