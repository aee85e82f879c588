//! A kernel of ABI 1: y = x * scale.
#![no_std]

use core::slice;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Ten words; offsets count from the start of this module's memory, sizes are bytes.
#[repr(C)]
pub struct Descriptor {
    input_a: [u32; 2],
    input_b: [u32; 2],
    output: [u32; 2],
    scratch: [u32; 2],
    params: [u32; 2],
}

/// # Safety
/// The host passes the address of a descriptor whose regions it has checked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_forward(descriptor: *const Descriptor) -> i32 {
    // SAFETY: the host's promise, above.
    let d = unsafe { &*descriptor };
    unsafe { multiply(d.input_a, d) }
}

/// Optional. Gets the inputs and then the gradients of the outputs, gives the gradients of the inputs: dx = dy * scale.
///
/// # Safety
/// As for [`kernel_forward`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_backward(descriptor: *const Descriptor) -> i32 {
    // SAFETY: the host's promise.
    let d = unsafe { &*descriptor };
    unsafe { multiply(d.input_b, d) }
}

/// Optional. Writes the version of the ABI and the size of its descriptor.
///
/// # Safety
/// The host passes the address of room for two words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_info(info: *mut [u32; 2]) -> i32 {
    // SAFETY: the host's promise.
    unsafe { *info = [1, size_of::<Descriptor>() as u32] };
    0
}

/// # Safety
/// `from` and the descriptor's output and parameters are regions of this memory; the output overlaps nothing.
unsafe fn multiply(from: [u32; 2], d: &Descriptor) -> i32 {
    // SAFETY: the caller's promise; the host aligns regions to 64.
    let (x, y, scale) = unsafe {
        let x = slice::from_raw_parts(from[0] as *const f32, from[1] as usize / 4);
        let y = slice::from_raw_parts_mut(d.output[0] as *mut f32, d.output[1] as usize / 4);
        (x, y, *(d.params[0] as *const f32))
    };
    if x.len() != y.len() {
        return 1;
    }
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * scale;
    }
    0
}
