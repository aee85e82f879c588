//! Mayfly's models for WebAssembly guests: a backend of [`wasmtime_wasi_nn`].
//!
//! A guest loads a `.mayfly` file with `load` (one builder, the file's bytes, encoding `autodetect`) or takes a model that the host
//! named with `load_by_name`; then `init_execution_context`, `set_input`, `compute` and `get_output` as in every wasi-nn program.
//! There is one input and one output, both f32: `[rows, inputs]` or `[inputs]`, and `[rows, outputs]`.
//!
//! ```no_run
//! use mayfly_nn::Model;
//! use mayfly_wasi_nn::{GuestLimits, Limits, context, run_guest};
//!
//! let models = [("iris".to_owned(), Model::load("iris.mayfly")?)];
//! let wasm = std::fs::read("guest.wasm")?;
//! let outputs = run_guest(&wasm, context(models, &Limits::default()), &GuestLimits::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod backend;
mod guest;

pub use backend::{Limits, MayflyBackend, context};
pub use guest::{GuestError, GuestLimits, run_guest};
