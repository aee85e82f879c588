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
    // SAFETY: the host's promise, above; regions are aligned to 64 and the output overlaps nothing.
    let (x, y, scale) = unsafe {
        let d = &*descriptor;
        let x = slice::from_raw_parts(d.input_a[0] as *const f32, d.input_a[1] as usize / 4);
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
