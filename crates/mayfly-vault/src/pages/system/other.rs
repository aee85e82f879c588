//! Systems whose pages are not protected here. Everything works in the allocator's memory, and [`Protection`](crate::Protection) says so.
use crate::pages::config::Mode;
use crate::pages::refusal::{Advice, Refusal};
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::string::String;
use core::ptr::NonNull;

/// `ENOSYS` where there is no such number.
const NOT_HERE: i32 = 0;

/// What stands for a page.
pub(crate) fn page_size() -> usize {
    4096
}

fn layout(bytes: usize) -> Result<Layout, Refusal> {
    Layout::from_size_align(bytes, page_size()).map_err(|_| Refusal { what: "allocation", errno: NOT_HERE })
}

pub(crate) fn map(bytes: usize, mode: Mode) -> Result<NonNull<u8>, Refusal> {
    if mode == Mode::Secret || bytes == 0 {
        return Err(Refusal { what: "secret memory", errno: NOT_HERE });
    }
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { alloc_zeroed(layout(bytes)?) }).ok_or(Refusal { what: "allocation", errno: NOT_HERE })
}

/// # Safety
/// None is needed: it does nothing.
pub(crate) unsafe fn open(_: NonNull<u8>, _: usize) -> Result<(), Refusal> {
    Ok(())
}

/// # Safety
/// None is needed: it does nothing.
pub(crate) unsafe fn lock(_: NonNull<u8>, _: usize) -> Result<(), Refusal> {
    Err(Refusal { what: "locking", errno: NOT_HERE })
}

/// # Safety
/// None is needed: it does nothing.
pub(crate) unsafe fn advise(_: NonNull<u8>, _: usize, _: Advice) -> Result<(), Refusal> {
    Err(Refusal { what: "advice", errno: NOT_HERE })
}

/// # Safety
/// `at` and `bytes` are those of one call of [`map`], and nobody refers to its memory.
pub(crate) unsafe fn unmap(at: NonNull<u8>, bytes: usize) {
    if let Ok(layout) = layout(bytes) {
        // SAFETY: allocated in `map` with this layout.
        unsafe { dealloc(at.as_ptr(), layout) }
    }
}

pub(crate) fn smaps() -> String {
    String::new()
}

pub(crate) fn hide_process() -> Result<(), Refusal> {
    Err(Refusal { what: "hiding a process", errno: NOT_HERE })
}

/// Whether this process leaves no core file and is hidden from debuggers of the same user: never, here.
pub fn process_is_hidden() -> bool {
    false
}
