//! wasmi: an interpreter, for machines where no code may be generated. Its clock is looked at between slices of fuel.

use super::child::{Compiler, Target};
use super::{Budget, Engine, EngineKind, EngineOptions, Export, Grants, Instance, Module, ModuleLimits};
use crate::error::{PackError, Result};
use crate::limits::PAGE_BYTES;
use std::sync::Arc;
use std::time::Instant;
use wasmi::errors::ErrorKind;
use wasmi::{CompilationMode, Config, Linker, Store, TrapCode, TypedResumableCall, WasmParams};
use wasmi_core::LimiterError;

const STACK_BYTES: usize = 32 << 10;
const RECURSION: usize = 512;
/// Fuel between two looks at the clock: well below a millisecond.
const SLICE: u64 = 100_000;

/// wasmi as a kernel engine.
pub struct WasmiEngine {
    engine: wasmi::Engine,
    compiler: Compiler,
    fuel: u64,
}

impl WasmiEngine {
    /// An engine. Of the options it uses `fuel`; memory is bounded by each module's limits.
    pub fn new(options: &EngineOptions) -> Self {
        let (compiler, fuel) = (options.compiler.clone(), options.fuel.saturating_mul(100));
        Self { engine: wasmi::Engine::new(&config()), compiler, fuel }
    }
}

/// Translates a module and forgets it.
pub(super) fn translate_alone(wasm: &[u8]) -> Result<()> {
    wasmi::Module::new(&wasmi::Engine::new(&config()), wasm).map(drop).map_err(PackError::other)
}

fn config() -> Config {
    let mut config = Config::default();
    config.consume_fuel(true).compilation_mode(CompilationMode::Eager).ignore_custom_sections(true);
    config.wasm_simd(true).wasm_relaxed_simd(false).wasm_multi_memory(false);
    config.wasm_tail_call(false).allow_start_fn(false);
    config.set_min_stack_height(STACK_BYTES / 4).set_max_stack_height(STACK_BYTES).set_max_recursion_depth(RECURSION);
    config
}

impl Engine for WasmiEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmi
    }

    fn compile(&self, wasm: &[u8], limits: &ModuleLimits) -> Result<Box<dyn Module>> {
        let failed = |e: wasmi::Error| PackError::Compile { kernel: limits.kernel.clone(), what: e.to_string() };
        if let Compiler::Child(process) = &self.compiler {
            process.compile(&limits.kernel, wasm, Target::Wasmi)?;
        }
        let module = wasmi::Module::new(&self.engine, wasm).map_err(failed)?;
        Ok(Box::new(Translated {
            engine: self.engine.clone(),
            module,
            limits: Arc::new(limits.clone()),
            fuel: self.fuel,
        }))
    }
}

struct Translated {
    engine: wasmi::Engine,
    module: wasmi::Module,
    limits: Arc<ModuleLimits>,
    fuel: u64,
}

impl Module for Translated {
    fn instantiate(&self) -> Result<Box<dyn Instance>> {
        let mut store = Store::new(&self.engine, Grants::new(&self.limits));
        store.limiter(|grants| grants);
        store.set_fuel(SLICE).map_err(PackError::other)?;
        let instance = Linker::new(&self.engine).instantiate_and_start(&mut store, &self.module);
        let instance = match instance {
            Ok(instance) => instance,
            Err(e) => return Err(store.data_mut().refused.take().unwrap_or_else(|| error_of(&e, 0, self.fuel))),
        };
        let memory = instance.get_memory(&store, "memory");
        let memory = memory.ok_or_else(|| PackError::other("the module exports no memory"))?;
        let (entry_point, fuel) = (self.limits.entry_point.clone(), self.fuel);
        Ok(Box::new(Running { store, instance, memory, entry_point, fuel }))
    }
}

struct Running {
    store: Store<Grants>,
    instance: wasmi::Instance,
    memory: wasmi::Memory,
    entry_point: String,
    fuel: u64,
}

impl Running {
    fn run<P: WasmParams>(&mut self, name: &str, params: P, budget: &Budget) -> Result<i32> {
        let function = self.instance.get_typed_func::<P, i32>(&self.store, name).map_err(PackError::other)?;
        let (start, mut left) = (Instant::now(), self.fuel);
        self.store.set_fuel(SLICE.min(left)).map_err(PackError::other)?;
        let mut call = function.call_resumable(&mut self.store, params);
        loop {
            match call {
                Ok(TypedResumableCall::Finished(code)) => return Ok(code),
                Ok(TypedResumableCall::HostTrap(_)) => return Err(PackError::other("a host function was called")),
                Ok(TypedResumableCall::OutOfFuel(paused)) => {
                    if start.elapsed() > budget.time {
                        return Err(PackError::EpochDeadline { budget_ms: budget.time.as_millis() as u64 });
                    }
                    // One instruction may ask for more than a slice: a `memory.fill` costs by its length.
                    let next = SLICE.max(paused.required_fuel());
                    left = left.checked_sub(next).ok_or(PackError::OutOfFuel { fuel: self.fuel })?;
                    self.store.set_fuel(next).map_err(PackError::other)?;
                    call = paused.resume(&mut self.store);
                }
                Err(error) => return Err(self.error(&error)),
            }
        }
    }

    fn error(&mut self, error: &wasmi::Error) -> PackError {
        let size = self.memory.data_size(&self.store) as u64;
        self.store.data_mut().refused.take().unwrap_or_else(|| error_of(error, size, self.fuel))
    }
}

impl Instance for Running {
    fn heap_base(&mut self) -> Option<u32> {
        let global = self.instance.get_global(&self.store, "__heap_base")?;
        global.get(&self.store).i32().map(i32::cast_unsigned)
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn grow_to(&mut self, bytes: u64) -> Result<()> {
        let now = self.memory.data_size(&self.store) as u64;
        if bytes <= now {
            return Ok(());
        }
        let pages = (bytes - now).div_ceil(PAGE_BYTES);
        // Growing costs fuel by the page, on the host's account here.
        self.store.set_fuel(u64::MAX / 2).map_err(PackError::other)?;
        match self.memory.grow(&mut self.store, pages) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.store.data_mut().refused.take().unwrap_or_else(|| PackError::other(error))),
        }
    }

    fn call(&mut self, export: Export, args: &[i32], budget: &Budget) -> Result<i32> {
        let entry_point = std::mem::take(&mut self.entry_point);
        let name = export.name(&entry_point);
        let result = match *args {
            [] => self.run(name, (), budget),
            [a] => self.run(name, a, budget),
            [a, b] => self.run(name, (a, b), budget),
            _ => Err(PackError::other("no function of the ABI has so many parameters")),
        };
        self.entry_point = entry_point;
        result
    }
}

impl wasmi::ResourceLimiter for Grants {
    fn memory_growing(&mut self, _now: usize, desired: usize, maximum: Option<usize>) -> Result<bool, LimiterError> {
        if self.allow_memory(desired, maximum) { Ok(true) } else { Err(denied()) }
    }

    fn table_growing(&mut self, _now: usize, desired: usize, _maximum: Option<usize>) -> Result<bool, LimiterError> {
        if self.allow_table(desired) { Ok(true) } else { Err(denied()) }
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

/// An error stops the guest; `false` would let it ask again and again.
fn denied() -> LimiterError {
    LimiterError::ResourceLimiterDeniedAllocation
}

fn error_of(error: &wasmi::Error, memory_bytes: u64, fuel: u64) -> PackError {
    let ErrorKind::TrapCode(code) = error.kind() else { return PackError::other(error) };
    match code {
        TrapCode::UnreachableCodeReached => PackError::Unreachable,
        TrapCode::MemoryOutOfBounds => PackError::MemoryAccessViolation { offset: None, size: memory_bytes },
        TrapCode::TableOutOfBounds => PackError::TableOutOfBounds,
        TrapCode::IndirectCallToNull => PackError::NullReference,
        TrapCode::IntegerDivisionByZero => PackError::DivideByZero,
        TrapCode::IntegerOverflow => PackError::IntegerOverflow,
        TrapCode::BadConversionToInteger => PackError::BadConversionToInteger,
        TrapCode::StackOverflow => PackError::StackOverflow,
        TrapCode::BadSignature => PackError::IndirectCallTypeMismatch,
        TrapCode::OutOfFuel => PackError::OutOfFuel { fuel },
        other => PackError::other(format!("{other:?}")),
    }
}
