//! What the thirteen kernels share: the ABI, vectors of four, and the computations over them.
#![no_std]

pub mod abi;
pub mod elem;
pub mod kv;
pub mod lora;
pub mod math;
pub mod rmsnorm;
pub mod rope;
pub mod swiglu;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Defines `kernel_forward` by a function from a call to a return code.
#[macro_export]
macro_rules! kernel {
    ($run:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn kernel_forward(descriptor: u32) -> i32 {
            // SAFETY: the host passes the descriptor that it has just written; see `Call::new`.
            let call = unsafe { $crate::abi::Call::new(descriptor) };
            match $run(&call) {
                Ok(()) => 0,
                Err(code) => code as i32,
            }
        }
    };
}
