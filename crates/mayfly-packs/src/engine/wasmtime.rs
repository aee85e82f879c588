//! wasmtime: compiled guests, epochs or fuel, pooled memory.

use super::artefact::{ArtefactId, CODE_AT, open};
use super::child::{Compiler, Target};
use super::{
    ArtefactCache, Budget, Engine, EngineKind, EngineOptions, Export, Grants, IdleInstances, Instance, Module,
    ModuleLimits, ticker,
};
use crate::bytes::sha256_hex;
use crate::error::{PackError, Result};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{
    Config, Enabled, Extern, InstanceAllocationStrategy, ModuleExport, OptLevel, PoolingAllocationConfig, Store, Trap,
};

const GUARD_BYTES: u64 = 64 << 10;
const STACK_BYTES: usize = 256 << 10;
/// Memory that a pooled slot clears by writing instead of giving its pages back: the usual size of a small kernel.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
/// The largest table and instance record that a slot has room for.
const INSTANCE_BYTES: usize = 1 << 20;

/// What the engine is tuned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WasmtimeProfile {
    /// Speed; budgets by epochs.
    Server,
    /// The same bits and the same fuel on every host; budgets by fuel.
    Deterministic,
    /// No clock at all, so no budget holds: for measuring what budgets cost, never for a stranger's kernel.
    Unbounded,
}

/// wasmtime as a kernel engine. The thread that ticks ends when it is dropped.
pub struct WasmtimeEngine {
    engine: wasmtime::Engine,
    profile: WasmtimeProfile,
    tick: Duration,
    fuel: u64,
    cache: Option<ArtefactCache>,
    compiler: Compiler,
    max_instances: u32,
    idle: Arc<IdleInstances>,
}

impl WasmtimeEngine {
    /// An engine with its pool.
    ///
    /// # Errors
    /// [`PackError::Other`] when the system refuses the address space of the pool or the thread.
    pub fn new(profile: WasmtimeProfile, options: &EngineOptions) -> Result<Self> {
        let mut config = config(profile);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
        let engine = wasmtime::Engine::new(&config).map_err(|e| {
            PackError::other(format!("wasmtime cannot start ({e:#}); fewer `max_instances` need less address space"))
        })?;
        let tick = match profile {
            WasmtimeProfile::Server => ticker::start(&engine, options.tick)?,
            WasmtimeProfile::Deterministic | WasmtimeProfile::Unbounded => options.tick,
        };
        let (cache, compiler) = (options.cache.clone(), options.compiler.clone());
        let (fuel, max_instances) = (options.fuel, options.max_instances);
        Ok(Self { engine, profile, tick, fuel, cache, compiler, max_instances, idle: Arc::default() })
    }

    fn compile_fresh(&self, wasm: &[u8], kernel: &str) -> Result<wasmtime::Module> {
        let failed = |what: String| PackError::Compile { kernel: kernel.to_owned(), what };
        let id = artefact_id(&self.engine, self.profile, wasm);
        match &self.compiler {
            Compiler::InProcess => {
                let module = wasmtime::Module::new(&self.engine, wasm).map_err(|e| failed(format!("{e:#}")))?;
                if let Some(cache) = &self.cache {
                    cache.keep(&id, &module.serialize().map_err(|e| failed(format!("{e:#}")))?);
                }
                Ok(module)
            }
            Compiler::Child(process) => {
                let (sealed, key) = process.compile(kernel, wasm, Target::Wasmtime(self.profile))?;
                let module = open(&sealed, &ArtefactId(&id), &key, &self.engine);
                let module = module.map_err(|e| failed(format!("what its process made is of no use: {e}")))?;
                if let (Some(cache), Some(code)) = (&self.cache, sealed.get(CODE_AT..)) {
                    cache.keep(&id, code);
                }
                Ok(module)
            }
        }
    }
}

/// What an artefact depends on, in one string.
fn artefact_id(engine: &wasmtime::Engine, profile: WasmtimeProfile, wasm: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let (target, version) = (std::env::consts::ARCH, EngineKind::Wasmtime.version());
    format!("{} {:016x} {target} {profile:?} wasmtime-{version}", sha256_hex(wasm), hasher.finish())
}

/// Compiles for an engine of this profile without making one that could run anything. Returns the artefact with its id.
pub(super) fn compile_alone(profile: WasmtimeProfile, wasm: &[u8]) -> Result<(String, Vec<u8>)> {
    // How memory is allocated changes nothing in the code, so there is no pool, which would need address space.
    let engine = wasmtime::Engine::new(&config(profile)).map_err(|e| PackError::other(format!("{e:#}")))?;
    let code = engine.precompile_module(wasm).map_err(|e| PackError::other(format!("{e:#}")))?;
    Ok((artefact_id(&engine, profile, wasm), code))
}

/// What the code depends on.
fn config(profile: WasmtimeProfile) -> Config {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed);
    config.wasm_simd(true).wasm_bulk_memory(true).wasm_multi_value(true);
    config.wasm_relaxed_simd(false).wasm_multi_memory(false).wasm_memory64(false).wasm_tail_call(false);
    config.max_wasm_stack(STACK_BYTES).memory_guard_size(GUARD_BYTES).wasm_backtrace_max_frames(None);
    match profile {
        WasmtimeProfile::Server => config.epoch_interruption(true),
        WasmtimeProfile::Deterministic => config.consume_fuel(true).cranelift_nan_canonicalization(true),
        WasmtimeProfile::Unbounded => &mut config,
    };
    config
}

fn pool(options: &EngineOptions) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(options.max_instances)
        .total_memories(options.max_instances)
        .total_tables(options.max_instances);
    pool.max_core_instance_size(INSTANCE_BYTES).max_memories_per_module(1).max_tables_per_module(1);
    pool.max_memory_size(usize::try_from(options.max_memory_bytes).unwrap_or(usize::MAX));
    pool.table_elements(usize::try_from(options.max_table_elements).unwrap_or(usize::MAX));
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES).table_keep_resident(4 << 10);
    // Where Linux can say which pages were written (6.7 and later), only these are cleared.
    pool.pagemap_scan(Enabled::Auto);
    pool
}

impl Engine for WasmtimeEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmtime
    }

    fn compile(&self, wasm: &[u8], limits: &ModuleLimits) -> Result<Box<dyn Module>> {
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.load(&artefact_id(&self.engine, self.profile, wasm), &self.engine));
        let module = cached.map_or_else(|| self.compile_fresh(wasm, &limits.kernel), Ok)?;
        let linker = wasmtime::Linker::new(&self.engine);
        let pre = linker.instantiate_pre(&module);
        let pre = pre.map_err(|e| PackError::Compile { kernel: limits.kernel.clone(), what: format!("{e:#}") })?;
        let clock = match self.profile {
            WasmtimeProfile::Server => Clock::Epochs(self.tick),
            WasmtimeProfile::Deterministic => Clock::Fuel(self.fuel),
            WasmtimeProfile::Unbounded => Clock::Stopped,
        };
        let index = |name: &str| module.get_export_index(name);
        let missing = |name: &str| PackError::other(format!("{}: the module exports no `{name}`", limits.kernel));
        Ok(Box::new(Compiled {
            engine: self.engine.clone(),
            memory: index("memory").ok_or_else(|| missing("memory"))?,
            entry: index(&limits.entry_point).ok_or_else(|| missing(&limits.entry_point))?,
            heap_base: index("__heap_base"),
            pre,
            limits: Arc::new(limits.clone()),
            clock,
            max_instances: self.max_instances,
        }))
    }

    fn idle(&self) -> Option<Arc<IdleInstances>> {
        Some(self.idle.clone())
    }
}

#[derive(Clone, Copy)]
enum Clock {
    Epochs(Duration),
    Fuel(u64),
    Stopped,
}

struct Compiled {
    engine: wasmtime::Engine,
    pre: wasmtime::InstancePre<Grants>,
    /// Exports by number: looking for names would take longer than making the rest of an instance.
    memory: ModuleExport,
    entry: ModuleExport,
    heap_base: Option<ModuleExport>,
    limits: Arc<ModuleLimits>,
    clock: Clock,
    max_instances: u32,
}

impl Module for Compiled {
    fn instantiate(&self) -> Result<Box<dyn Instance>> {
        let mut store = Store::new(&self.engine, Grants::new(&self.limits));
        store.limiter(|grants| grants);
        // Nothing of the guest runs here, but both clocks stand at zero and would stop the first instruction.
        match self.clock {
            Clock::Epochs(_) => store.set_epoch_deadline(1 << 40),
            Clock::Fuel(fuel) => store.set_fuel(fuel).map_err(PackError::other)?,
            Clock::Stopped => {}
        }
        let instance = match self.pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(instantiation_error(&mut store, &error, self.max_instances)),
        };
        let memory = instance.get_module_export(&mut store, &self.memory).and_then(Extern::into_memory);
        let memory = memory.ok_or_else(|| PackError::other("the module exports no memory"))?;
        let entry = instance.get_module_export(&mut store, &self.entry).and_then(Extern::into_func);
        let entry = entry.ok_or_else(|| PackError::other("the module does not export its entry point"))?;
        let entry = entry.typed::<i32, i32>(&store).map_err(PackError::other)?;
        let (limits, clock, heap_base) = (self.limits.clone(), self.clock, self.heap_base);
        Ok(Box::new(Running { store, instance, memory, entry, heap_base, limits, clock }))
    }
}

fn instantiation_error(store: &mut Store<Grants>, error: &wasmtime::Error, max_instances: u32) -> PackError {
    if let Some(refused) = store.data_mut().refused.take() {
        return refused;
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return PackError::NoFreeInstance { max_instances };
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap_error(*trap, error, 0),
        None => PackError::other(format!("{error:#}")),
    }
}

struct Running {
    store: Store<Grants>,
    instance: wasmtime::Instance,
    memory: wasmtime::Memory,
    entry: wasmtime::TypedFunc<i32, i32>,
    heap_base: Option<ModuleExport>,
    limits: Arc<ModuleLimits>,
    clock: Clock,
}

impl Running {
    fn start_clock(&mut self, budget: &Budget) -> Result<()> {
        match self.clock {
            Clock::Epochs(tick) => self.store.set_epoch_deadline(ticker::ticks(budget.time, tick)),
            Clock::Fuel(fuel) => self.store.set_fuel(fuel).map_err(PackError::other)?,
            Clock::Stopped => {}
        }
        Ok(())
    }

    fn invoke(&mut self, export: Export, args: &[i32]) -> wasmtime::Result<i32> {
        let (store, name) = (&mut self.store, export.name(&self.limits.entry_point));
        match (export, args) {
            (Export::Entry, [a]) => self.entry.call(store, *a),
            (_, []) => self.instance.get_typed_func::<(), i32>(&mut *store, name)?.call(store, ()),
            (_, [a]) => self.instance.get_typed_func::<i32, i32>(&mut *store, name)?.call(store, *a),
            (_, [a, b]) => self.instance.get_typed_func::<(i32, i32), i32>(&mut *store, name)?.call(store, (*a, *b)),
            _ => Err(wasmtime::Error::msg("no function of the ABI has so many parameters")),
        }
    }

    fn error(&mut self, error: &wasmtime::Error, budget: &Budget) -> PackError {
        if let Some(refused) = self.store.data_mut().refused.take() {
            return refused;
        }
        match (error.downcast_ref::<Trap>(), self.clock) {
            (Some(Trap::Interrupt), _) => PackError::EpochDeadline { budget_ms: budget.time.as_millis() as u64 },
            (Some(Trap::OutOfFuel), Clock::Fuel(fuel)) => PackError::OutOfFuel { fuel },
            (Some(trap), _) => trap_error(*trap, error, self.memory.data_size(&self.store) as u64),
            (None, _) => PackError::other(format!("{error:#}")),
        }
    }
}

impl Instance for Running {
    fn heap_base(&mut self) -> Option<u32> {
        let global = self.instance.get_module_export(&mut self.store, &self.heap_base?)?.into_global()?;
        global.get(&mut self.store).i32().map(i32::cast_unsigned)
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn grow_to(&mut self, bytes: u64) -> Result<()> {
        let now = self.memory.data_size(&self.store) as u64;
        if bytes <= now {
            return Ok(());
        }
        let pages = (bytes - now).div_ceil(crate::limits::PAGE_BYTES);
        match self.memory.grow(&mut self.store, pages) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.store.data_mut().refused.take().unwrap_or_else(|| PackError::other(format!("{error:#}"))))
            }
        }
    }

    fn call(&mut self, export: Export, args: &[i32], budget: &Budget) -> Result<i32> {
        self.start_clock(budget)?;
        self.invoke(export, args).map_err(|e| self.error(&e, budget))
    }
}

impl wasmtime::ResourceLimiter for Grants {
    fn memory_growing(&mut self, _now: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // An error stops the guest; `false` would let it ask again and again.
        if self.allow_memory(desired, maximum) { Ok(true) } else { Err(wasmtime::Error::msg("memory limit")) }
    }

    fn table_growing(&mut self, _now: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if self.allow_table(desired) { Ok(true) } else { Err(wasmtime::Error::msg("table limit")) }
    }
}

fn trap_error(trap: Trap, error: &wasmtime::Error, memory_bytes: u64) -> PackError {
    match trap {
        Trap::StackOverflow => PackError::StackOverflow,
        Trap::MemoryOutOfBounds => {
            PackError::MemoryAccessViolation { offset: fault_address(error), size: memory_bytes }
        }
        Trap::TableOutOfBounds => PackError::TableOutOfBounds,
        Trap::IndirectCallToNull | Trap::NullReference => PackError::NullReference,
        Trap::BadSignature => PackError::IndirectCallTypeMismatch,
        Trap::IntegerOverflow => PackError::IntegerOverflow,
        Trap::IntegerDivisionByZero => PackError::DivideByZero,
        Trap::BadConversionToInteger => PackError::BadConversionToInteger,
        Trap::UnreachableCodeReached => PackError::Unreachable,
        other => PackError::other(other),
    }
}

/// wasmtime tells the address in words only: `memory fault at wasm address 0x… in linear memory of size 0x…`.
fn fault_address(error: &wasmtime::Error) -> Option<u64> {
    let text = format!("{error:#}");
    let (_, rest) = text.split_once("memory fault at wasm address 0x")?;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}
