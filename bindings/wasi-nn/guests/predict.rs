//! A wasi-nn guest: the model that is built into it, two rows, their outputs.
//!
//! ```text
//! rustup target add wasm32-unknown-unknown
//! MODEL=/path/to/model.mayfly rustc --edition 2024 -O --crate-type cdylib --target wasm32-unknown-unknown predict.rs
//! ```
#![no_std]

/// The bytes of the model file that the environment variable `MODEL` named when this was compiled.
static MODEL: &[u8] = include_bytes!(env!("MODEL"));
const ROWS: usize = 2;
const INPUTS: usize = 2;
/// Room for the outputs.
const MOST: usize = 64;

#[repr(C)]
struct Slice {
    at: *const u8,
    len: u32,
}

#[repr(C)]
struct Tensor {
    dimensions: Slice,
    /// 1: f32.
    kind: u32,
    data: Slice,
}

#[link(wasm_import_module = "wasi_ephemeral_nn")]
unsafe extern "C" {
    fn load(builders: *const Slice, count: u32, encoding: u32, target: u32, graph: *mut u32) -> u32;
    fn init_execution_context(graph: u32, context: *mut u32) -> u32;
    fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
    fn compute(context: u32) -> u32;
    fn get_output(context: u32, index: u32, to: *mut f32, bytes: u32, written: *mut u32) -> u32;
}

static mut OUTPUT: [f32; MOST] = [0.0; MOST];

/// Where the outputs are and how many; negative: wasi-nn's error.
#[unsafe(no_mangle)]
extern "C" fn run() -> i64 {
    match predict() {
        Ok(count) => (i64::from(count) << 32) | i64::from(&raw const OUTPUT as u32),
        Err(code) => -1 - i64::from(code),
    }
}

fn predict() -> Result<u32, u32> {
    const AUTODETECT: u32 = 5;
    const CPU: u32 = 0;
    let rows: [f32; ROWS * INPUTS] = [0.25, -1.5, 1.0, 0.5];
    let (mut graph, mut context, mut written) = (0, 0, 0);
    let model = Slice { at: MODEL.as_ptr(), len: MODEL.len() as u32 };
    let dimensions = [ROWS as u32, INPUTS as u32];
    let tensor = Tensor {
        dimensions: Slice { at: dimensions.as_ptr().cast(), len: dimensions.len() as u32 },
        kind: 1,
        data: Slice { at: rows.as_ptr().cast(), len: size_of_val(&rows) as u32 },
    };
    // SAFETY: every pointer is to a value that outlives the call, with its length; OUTPUT is used by this thread alone.
    unsafe {
        check(load(&raw const model, 1, AUTODETECT, CPU, &raw mut graph))?;
        check(init_execution_context(graph, &raw mut context))?;
        check(set_input(context, 0, &raw const tensor))?;
        check(compute(context))?;
        check(get_output(context, 0, (&raw mut OUTPUT).cast(), MOST as u32 * 4, &raw mut written))?;
    }
    Ok(written / 4)
}

fn check(code: u32) -> Result<(), u32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
