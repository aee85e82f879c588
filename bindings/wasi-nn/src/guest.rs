//! A guest's run, bounded in time and memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmtime::{Config, Engine, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, Trap};
use wasmtime_wasi_nn::witx::{WasiNnCtx, add_to_linker};

/// What a guest may take.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// Bytes of its memory.
    pub memory_bytes: usize,
    /// Fuel: about one for each instruction.
    pub fuel: u64,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, fuel: 10_000_000_000 }
    }
}

/// How a guest's run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// Not a module, or one that imports more than wasi-nn.
    #[error("the guest cannot be loaded: {0}")]
    Module(String),
    /// `memory` or `run() -> i64` is missing.
    #[error("the guest does not export `{0}`")]
    MissingExport(&'static str),
    /// The guest trapped.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// It used up its fuel.
    #[error("the guest used up its fuel of {fuel}")]
    OutOfFuel {
        /// The fuel that it had.
        fuel: u64,
    },
    /// It passed wasi-nn a pointer outside of its memory, on which wasmtime-wasi-nn panics.
    #[error("the guest made wasi-nn fail: {0}")]
    HostCall(String),
    /// It ended with an error of its own: -1 minus the number that wasi-nn gave it, by its convention.
    #[error("the guest ended with {0}")]
    Failed(i64),
    /// It says that its outputs lie where its memory is not.
    #[error("the guest's {count} outputs at {address} lie outside of its memory of {memory_bytes} bytes")]
    OutOfBounds {
        /// Values.
        count: usize,
        /// Where it says that they are.
        address: usize,
        /// What it has.
        memory_bytes: usize,
    },
}

struct Host {
    nn: WasiNnCtx,
    limits: StoreLimits,
}

/// Runs a core module whose only imports are those of `wasi_ephemeral_nn`. It exports `memory` and `run() -> i64`: the address
/// of its f32 outputs in the lower half, their number in the upper half, or a negative number for a failure.
///
/// # Errors
/// Everything in [`GuestError`].
pub fn run_guest(wasm: &[u8], nn: WasiNnCtx, limits: &GuestLimits) -> Result<Vec<f32>, GuestError> {
    let mut config = Config::new();
    config.consume_fuel(true);
    let module = |e: wasmtime::Error| GuestError::Module(format!("{e:#}"));
    let engine = Engine::new(&config).map_err(module)?;
    let guest = Module::new(&engine, wasm).map_err(module)?;
    let mut linker: Linker<Host> = Linker::new(&engine);
    add_to_linker(&mut linker, |host: &mut Host| &mut host.nn).map_err(module)?;
    let store_limits = StoreLimitsBuilder::new().memory_size(limits.memory_bytes).instances(1).build();
    let mut store = Store::new(&engine, Host { nn, limits: store_limits });
    store.limiter(|host| &mut host.limits);
    store.set_fuel(limits.fuel).map_err(module)?;
    // The start function of a module may call the host too. After a panic nothing of the store is looked at again.
    let ran = catch_unwind(AssertUnwindSafe(|| call(&mut store, &linker, &guest)));
    match ran {
        Ok(result) => result.map_err(|e| with_fuel(e, limits.fuel)),
        Err(panic) => Err(GuestError::HostCall(panic_text(&*panic))),
    }
}

fn call(store: &mut Store<Host>, linker: &Linker<Host>, guest: &Module) -> Result<Vec<f32>, GuestError> {
    let instance = linker.instantiate(&mut *store, guest).map_err(|e| match e.downcast_ref::<Trap>() {
        Some(_) => trapped(&e),
        None => GuestError::Module(format!("{e:#}")),
    })?;
    let memory = instance.get_memory(&mut *store, "memory").ok_or(GuestError::MissingExport("memory"))?;
    let run = instance.get_typed_func::<(), i64>(&mut *store, "run");
    let run = run.map_err(|_| GuestError::MissingExport("run() -> i64"))?;
    let end = run.call(&mut *store, ()).map_err(|e| trapped(&e))?;
    if end < 0 {
        return Err(GuestError::Failed(end));
    }
    let (address, count) = ((end & 0xffff_ffff) as usize, (end >> 32) as usize);
    let data = memory.data(&store);
    let bytes = address.checked_add(count * 4).and_then(|stop| data.get(address..stop));
    let bytes = bytes.ok_or(GuestError::OutOfBounds { count, address, memory_bytes: data.len() })?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn trapped(error: &wasmtime::Error) -> GuestError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => GuestError::OutOfFuel { fuel: 0 },
        _ => GuestError::Trap(format!("{error:#}")),
    }
}

fn with_fuel(error: GuestError, fuel: u64) -> GuestError {
    match error {
        GuestError::OutOfFuel { .. } => GuestError::OutOfFuel { fuel },
        other => other,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
