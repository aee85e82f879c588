//! What runs WebAssembly: one trait, with wasmtime and wasmi behind it.

mod artefact;
mod artefact_cache;
mod child;
mod idle;
mod ticker;
mod wasmi;
mod wasmtime;

pub use self::wasmi::WasmiEngine;
pub use self::wasmtime::{WasmtimeEngine, WasmtimeProfile};
pub use artefact_cache::ArtefactCache;
pub(crate) use artefact_cache::KEY_FILE;
pub use child::{Compiler, CompilerProcess, compile_for_parent};
pub(crate) use idle::Idle;
pub use idle::IdleInstances;

use crate::error::{PackError, Result};
use crate::limits::{HostLimits, PAGE_BYTES};
use crate::manifest::KernelEntry;
use crate::version::Version;
use std::sync::Arc;
use std::time::Duration;

/// The engines that a manifest can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Compiles with Cranelift.
    Wasmtime,
    /// Interprets.
    Wasmi,
}

impl EngineKind {
    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::Wasmi => "wasmi",
        }
    }

    /// The version that this crate is built with.
    pub fn version(self) -> Version {
        match self {
            Self::Wasmtime => Version { major: 48, minor: 0, patch: 8 },
            Self::Wasmi => Version { major: 2, minor: 0, patch: 0 },
        }
    }

    /// The features that a manifest may ask for.
    pub fn features(self) -> &'static [&'static str] {
        &["simd", "bulk_memory", "sign_extension", "saturating_float_to_int", "multi_value", "mutable_global"]
    }
}

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The largest memory of a guest; bounds what one uninterruptible `memory.fill` can take.
    pub max_memory_bytes: u64,
    /// The largest table of a guest.
    pub max_table_elements: u64,
    /// Instances that can live at one time.
    pub max_instances: u32,
    /// How often the clock of budgets ticks; at least 1 ms.
    pub tick: Duration,
    /// Fuel of a call, where fuel is counted.
    pub fuel: u64,
    /// Where compiled modules are kept; `None` compiles every time.
    pub cache: Option<ArtefactCache>,
    /// Where modules are compiled.
    pub compiler: Compiler,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_memory_bytes: 256 << 20,
            max_table_elements: 4096,
            max_instances: 256,
            tick: Duration::from_millis(10),
            fuel: 1_000_000_000,
            cache: None,
            compiler: Compiler::InProcess,
        }
    }
}

/// What one call may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Time; the call ends at the latest one tick after it.
    pub time: Duration,
}

/// What one module may take, and what it is called in errors.
#[derive(Clone, Debug)]
pub struct ModuleLimits {
    /// Kernel id.
    pub kernel: String,
    /// The function that [`Export::Entry`] stands for.
    pub entry_point: String,
    /// Bytes of memory.
    pub max_memory_bytes: u64,
    /// Elements of its table.
    pub max_table_elements: u64,
}

impl ModuleLimits {
    /// What the manifest's entry asks for, within what the host grants.
    pub(crate) fn of(kernel: &KernelEntry, host: &HostLimits) -> Self {
        let asked = &kernel.resource_limits;
        Self {
            kernel: kernel.id.clone(),
            entry_point: kernel.entry_point.clone(),
            max_memory_bytes: asked.max_memory_pages.min(host.max_memory_pages).saturating_mul(PAGE_BYTES),
            max_table_elements: asked.max_table_elements.min(host.max_table_elements),
        }
    }
}

/// The functions of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// `kernel_init(params_ptr, params_len)`.
    Init,
    /// The entry point of the manifest.
    Entry,
    /// `kernel_backward(descriptor_ptr)`.
    Backward,
    /// `kernel_info(info_ptr)`.
    Info,
    /// `kernel_cleanup()`.
    Cleanup,
    /// `kernel_alloc(bytes)`.
    Alloc,
}

impl Export {
    /// The name of the export, given the manifest's entry point.
    pub fn name(self, entry_point: &str) -> &str {
        match self {
            Self::Init => "kernel_init",
            Self::Entry => entry_point,
            Self::Backward => "kernel_backward",
            Self::Info => "kernel_info",
            Self::Cleanup => "kernel_cleanup",
            Self::Alloc => "kernel_alloc",
        }
    }
}

/// Something that compiles modules.
pub trait Engine: Send + Sync {
    /// Which one.
    fn kind(&self) -> EngineKind;

    /// Compiles a module that was vetted.
    ///
    /// # Errors
    /// [`PackError::Compile`].
    fn compile(&self, wasm: &[u8], limits: &ModuleLimits) -> Result<Box<dyn Module>>;

    /// Where kernels tell of instances that wait, if the engine has only so many: see [`EngineOptions::max_instances`].
    fn idle(&self) -> Option<Arc<IdleInstances>> {
        None
    }
}

/// A compiled module.
pub trait Module: Send + Sync {
    /// Makes an instance with memory of its own.
    ///
    /// # Errors
    /// [`PackError::LimitExceeded`] when it asks for more than it may, [`PackError::NoFreeInstance`] when too many live already.
    fn instantiate(&self) -> Result<Box<dyn Instance>>;
}

/// An instance of a module. After an error of [`Instance::call`] it must be dropped.
pub trait Instance: Send {
    /// The value of `__heap_base`, if exported.
    fn heap_base(&mut self) -> Option<u32>;

    /// Its memory.
    fn memory(&mut self) -> &mut [u8];

    /// Grows the memory until it holds `bytes`.
    ///
    /// # Errors
    /// [`PackError::LimitExceeded`].
    fn grow_to(&mut self, bytes: u64) -> Result<()>;

    /// Calls an export of as many i32 parameters as `args` has.
    ///
    /// # Errors
    /// Every error of a call in [`PackError`].
    fn call(&mut self, export: Export, args: &[i32], budget: &Budget) -> Result<i32>;
}

/// The engine of a kind with its usual profile.
///
/// # Errors
/// [`PackError::Other`] when the system cannot give it what it needs.
pub fn new_engine(kind: EngineKind, options: &EngineOptions) -> Result<Arc<dyn Engine>> {
    Ok(match kind {
        EngineKind::Wasmtime => Arc::new(WasmtimeEngine::new(WasmtimeProfile::Server, options)?),
        EngineKind::Wasmi => Arc::new(WasmiEngine::new(options)),
    })
}

/// A growth that was refused; the guest is stopped at it.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    limits: Arc<ModuleLimits>,
    pub(crate) refused: Option<PackError>,
}

impl Grants {
    pub(crate) fn new(limits: &Arc<ModuleLimits>) -> Self {
        Self { limits: limits.clone(), refused: None }
    }

    /// May the memory have so many bytes? If not, remembers why.
    pub(crate) fn allow_memory(&mut self, bytes: usize, maximum: Option<usize>) -> bool {
        let own = maximum.map_or(u64::MAX, |m| m as u64);
        self.allow("bytes of memory", bytes as u64, self.limits.max_memory_bytes.min(own))
    }

    /// May the table have so many elements? If not, remembers why.
    pub(crate) fn allow_table(&mut self, elements: usize) -> bool {
        self.allow("elements of the table", elements as u64, self.limits.max_table_elements)
    }

    fn allow(&mut self, what: &str, asked: u64, limit: u64) -> bool {
        if asked > limit {
            self.refused = Some(PackError::limit(format!("{}: {what}", self.limits.kernel), asked, limit));
        }
        asked <= limit
    }
}
