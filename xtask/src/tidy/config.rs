//! The tables that the rules read. A change of the house is a change here.

use super::circles::Circle;
use super::layers::{Column, Layer};

/// Every crate, its column and its height. A crate may depend on lower ones of its own column, of the shared ground,
/// and, from `node` upwards, of both columns.
pub(crate) const LAYERS: &[Layer] = &[
    Layer { name: "mayfly-base", column: Column::Shared, height: 0 },
    Layer { name: "mayfly-vault", column: Column::Shared, height: 0 },
    Layer { name: "mayfly-embed", column: Column::Neural, height: 0 },
    Layer { name: "mayfly-kernels", column: Column::Neural, height: 1 },
    Layer { name: "mayfly-format", column: Column::Neural, height: 1 },
    Layer { name: "mayfly-graph", column: Column::Neural, height: 2 },
    Layer { name: "mayfly-nn", column: Column::Neural, height: 3 },
    Layer { name: "mayfly-forecast", column: Column::Neural, height: 4 },
    Layer { name: "mayfly-adapt", column: Column::Neural, height: 4 },
    Layer { name: "mayfly-search", column: Column::Neural, height: 4 },
    Layer { name: "mayfly-lifecycle", column: Column::Top, height: 4 }, // certificates are signed by the wire's identities
    Layer { name: "mayfly-wire", column: Column::Swarm, height: 1 },
    Layer { name: "mayfly-packs", column: Column::Swarm, height: 1 },
    Layer { name: "mayfly-config", column: Column::Swarm, height: 1 },
    Layer { name: "mayfly-swarm", column: Column::Swarm, height: 2 },
    Layer { name: "mayfly-mesh", column: Column::Swarm, height: 2 },
    Layer { name: "mayfly-market", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-collective", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-fabric", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-router", column: Column::Swarm, height: 3 },
    Layer { name: "mayfly-node", column: Column::Top, height: 5 },
    Layer { name: "mayfly-learn", column: Column::Top, height: 5 },
    Layer { name: "mayfly", column: Column::Top, height: 6 },
    Layer { name: "mayfly-cli", column: Column::Top, height: 7 },
    Layer { name: "mayfly-serve", column: Column::Top, height: 7 },
    Layer { name: "mayfly-gateway", column: Column::Top, height: 8 }, // over mayfly-serve
    Layer { name: "mayfly-python", column: Column::Top, height: 7 },
    Layer { name: "mayfly-web", column: Column::Top, height: 7 },
    Layer { name: "mayfly-c", column: Column::Top, height: 7 },
    Layer { name: "xtask", column: Column::Tool, height: 0 },
];

/// The crates where `unsafe` may be written: SIMD, protected pages, the foreign faces, the benchmark's bindings to its peers, and
/// `mayfly-packs` for one call: wasmtime trusts compiled code that it is given back, so loading a cached artefact is unsafe.
/// `src/engine/artefact.rs` holds that call behind a MAC; the crate's `#![deny(unsafe_code)]` keeps every other file free of it.
pub(crate) const UNSAFE_CRATES: &[&str] =
    &["mayfly-packs", "mayfly-kernels", "mayfly-vault", "mayfly-python", "mayfly-c", "mayfly-bench", "mayfly-counts"];

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

/// Files that import each other for a reason. Empty is the aim.
pub(crate) const CIRCLES: &[Circle] = &[
    Circle {
        files: &[
            "crates/mayfly-graph/src/custom.rs",
            "crates/mayfly-graph/src/grad.rs",
            "crates/mayfly-graph/src/ir.rs",
            "crates/mayfly-graph/src/ops/mod.rs",
            "crates/mayfly-graph/src/ops/binary.rs",
        ],
        because: "a graph is made of operations, and each operation has its gradient, which is a graph",
    },
    Circle {
        files: &["crates/mayfly-graph/src/error.rs", "crates/mayfly-graph/src/shape.rs"],
        because: "an error carries the shapes that prove it, and a shape that is refused is an error",
    },
    Circle {
        files: &[
            "crates/mayfly-kernels/src/act_vec.rs",
            "crates/mayfly-kernels/src/fann.rs",
            "crates/mayfly-kernels/src/math.rs",
            "crates/mayfly-kernels/src/simd/mod.rs",
            "crates/mayfly-kernels/src/simd_ext.rs",
        ],
        because: "a vector applies activations to itself, which are written with vectors: one call keeps them in registers",
    },
    Circle {
        files: &["crates/mayfly-kernels/src/conv.rs", "crates/mayfly-kernels/src/conv_slide.rs"],
        because: "one convolution in two ways: its sizes stand with the first, which hands strides of 1 to the second",
    },
    Circle {
        files: &["crates/mayfly-kernels/src/linear.rs", "crates/mayfly-kernels/src/matmul.rs"],
        because: "a product ends with what a layer does to it, and a layer is such a product",
    },
    Circle {
        files: &["crates/mayfly-nn/src/layers/custom.rs", "crates/mayfly-nn/src/registry.rs"],
        because: "the registry makes the layers of a user's own, which may hold further ones that it makes",
    },
    Circle {
        files: &["crates/mayfly-nn/src/train/evaluate.rs", "crates/mayfly-nn/src/train/trainer.rs"],
        because: "two halves of one type: what a trainer learns and what it measures",
    },
    Circle {
        files: &["crates/mayfly-packs/src/manifest.rs", "crates/mayfly-packs/src/schema.rs"],
        because: "a manifest is checked by its schema, whose findings are named as the manifest names its parts",
    },
    Circle {
        files: &["crates/mayfly-packs/src/pack.rs", "crates/mayfly-packs/src/prepared.rs"],
        because: "a kernel prepares a call, and the call is one of that kernel",
    },
    Circle {
        files: &[
            "crates/mayfly-swarm/src/memory/context.rs",
            "crates/mayfly-swarm/src/memory/record.rs",
            "crates/mayfly-swarm/src/memory/replica.rs",
            "crates/mayfly-swarm/src/memory/tree.rs",
        ],
        because: "a record is kept only as what the replica has seen of it allows",
    },
    Circle {
        files: &["crates/mayfly-swarm/src/memory/gossip.rs", "crates/mayfly-swarm/src/memory/walk.rs"],
        because: "gossip starts walks down the tree, and a walk ends in messages of gossip",
    },
    Circle {
        files: &["crates/mayfly-format/src/fann_net/activation.rs", "crates/mayfly-format/src/fann_net/run.rs"],
        because: "FANN's file and FANN's functions are one definition, read in two places",
    },
    Circle {
        files: &["crates/mayfly-format/src/data/csv/heading.rs", "crates/mayfly-format/src/data/csv/survey.rs"],
        because: "whether a first line is a heading follows from a survey of the lines below it, and the survey starts below the heading",
    },
    Circle {
        files: &["crates/mayfly-format/src/data/encode/mod.rs", "crates/mayfly-format/src/data/source.rs"],
        because: "an encoder says how a source is to be opened again, in the source's own options",
    },
    Circle {
        files: &["crates/mayfly-format/src/data/encode/bind.rs", "crates/mayfly-format/src/data/encode/rows.rs"],
        because: "encoded rows are bound to the columns of a file, and what is bound is read as rows",
    },
    Circle {
        files: &["crates/mayfly-format/src/data/encode/finish.rs", "crates/mayfly-format/src/data/encode/fit.rs"],
        because: "two passes of one fit",
    },
    Circle {
        files: &["crates/mayfly-format/src/fann_net/read.rs", "crates/mayfly-format/src/fann_net/read_1.rs"],
        because: "versions of one grammar, which share its words",
    },
    Circle {
        files: &["crates/mayfly-format/src/onnx/external.rs", "crates/mayfly-format/src/onnx/tensor.rs"],
        because: "a tensor may lie in another file, which is read as a tensor",
    },
    Circle {
        files: &[
            "crates/mayfly-packs/src/engine/child.rs",
            "crates/mayfly-packs/src/engine/wasmi.rs",
            "crates/mayfly-packs/src/engine/wasmtime.rs",
        ],
        because: "an engine compiles in a child process, which runs that engine",
    },
    Circle {
        files: &["crates/mayfly-cli/src/commands/swarm/control.rs", "crates/mayfly-cli/src/commands/swarm/node.rs"],
        because: "a node serves its control socket, whose answers are about the node",
    },
    Circle {
        files: &["crates/mayfly-kernels/src/conv.rs", "crates/mayfly-kernels/src/conv_slide.rs"],
        because: "two ways of one convolution: each hands the other the sizes that it is faster at",
    },
];

/// Words that may appear in no tracked file; `--words FILE` adds to them.
pub(crate) const WORDS: &[&str] = &[];
