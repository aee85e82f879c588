//! Signed packs of WebAssembly kernels: checked before they are believed, run in a sandbox, upgraded and rolled back live.
//!
//! A pack is a folder ([`PackFiles`]) with a manifest, an envelope of signatures and modules. [`verify()`] takes it through
//! the checks in their order, [`Pack::load`] compiles it on an [`Engine`], [`Kernel::run`] calls it. [`Store`] keeps packs on disk,
//! [`Host`] swaps them in a running process. The format is in `docs/formats/kernel-pack.md`.
#![deny(unsafe_code)] // `engine/artefact.rs` alone is exempt: it hands authenticated code back to wasmtime

pub mod abi;
mod bypass;
mod bytes;
mod call;
mod engine;
mod envelope;
mod error;
mod files;

pub mod fuzz;
mod golden;
mod host;

mod keys;
mod limits;
mod manifest;
mod metrics;
pub mod native;
mod pack;
mod plan;
mod prepared;
mod schema;
mod shape;
mod store;

mod tensor;
mod trust;
mod verify;
mod version;
mod vet;

pub use bypass::BypassRule;
pub use bytes::sha256_hex;
pub use call::{Answer, AnsweredBy, CallOptions, Isolation};
pub use engine::{
    ArtefactCache, Budget, Compiler, CompilerProcess, Engine, EngineKind, EngineOptions, Export, IdleInstances,
    Instance, Module, ModuleLimits, WasmiEngine, WasmtimeEngine, WasmtimeProfile, compile_for_parent, new_engine,
};
pub use envelope::{Envelope, Signature, pre_authentication_encoding};
pub use error::{PackError, Result};
pub use files::{ENVELOPE_FILE, MANIFEST_FILE, PackFiles};
pub use golden::{Golden, GoldenCase, GoldenTensor};
pub use host::{HealthPolicy, Host, WatchEvent};
pub use keys::{KeyId, PublicKey, SecretKey};
pub use limits::HostLimits;
pub use manifest::{
    Author, FileRef, KernelEntry, Manifest, ParamSpec, ParamType, Platform, ResourceLimits, SCHEMA, TensorSpec,
};
pub use metrics::{Failure, KernelMetrics, MetricsSnapshot};
pub use pack::{Kernel, KernelInfo, Pack};
pub use prepared::PreparedCall;
pub use store::{ActivePack, PreviousPack, RolledBack, Steps, Store, StoreNotice, StoreOptions, StoreState, StoreView};
pub use tensor::{DType, Tensor, TensorView, ulp_distance};
pub use trust::{RevokedKey, RevokedPack, TrustedKey, TrustedKeys};
pub use verify::{Policy, VerifiedPack, verify};
pub use version::Version;
pub use vet::{Effort, Vetted, vet};
