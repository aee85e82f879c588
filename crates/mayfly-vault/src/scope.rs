//! Which memory the blocks of a thread come from: the one hook by which buffers, sessions and networks get into a slot without knowing of it.
use crate::memory::Memory;
use alloc::sync::Arc;
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use std::cell::RefCell;
use std::thread_local;

/// What did not fit, and went to the allocator instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortfall {
    /// Bytes of all blocks for which there was no room.
    pub bytes: usize,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes found no room in the memory that they were meant for", self.bytes)
    }
}

impl core::error::Error for Shortfall {}

/// The scope that a thread is in.
struct Current {
    memory: Arc<dyn Memory>,
    refused: usize,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Puts the scope around this one back, also when unwinding.
struct Restore(Option<Current>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.0.take());
    }
}

/// Runs `work`; every block that this thread makes meanwhile comes from `memory`. Scopes nest, and other threads are not touched.
///
/// # Errors
/// There was not room for all blocks. Some were in the allocator's memory, so what `work` returned was dropped: put no secrets into blocks before it is
/// known that they are where they belong.
pub fn within<R>(memory: Arc<dyn Memory>, work: impl FnOnce() -> R) -> Result<R, Shortfall> {
    let outer = CURRENT.with(|current| current.borrow_mut().replace(Current { memory, refused: 0 }));
    let restore = Restore(outer);
    let result = work();
    let bytes = CURRENT.with(|current| current.borrow().as_ref().map_or(0, |current| current.refused));
    drop(restore);
    if bytes == 0 { Ok(result) } else { Err(Shortfall { bytes }) }
}

/// Room in the memory of this thread's scope; none outside of one, and none where it is full, which is counted.
pub(crate) fn take(layout: Layout) -> Option<(NonNull<u8>, Arc<dyn Memory>)> {
    let from = |current: &RefCell<Option<Current>>| {
        let mut current = current.try_borrow_mut().ok()?;
        let current = current.as_mut()?;
        match current.memory.take(layout) {
            Some(at) => Some((at, Arc::clone(&current.memory))),
            None => {
                current.refused = current.refused.saturating_add(layout.size());
                None
            }
        }
    };
    // A thread that is ending has no scope any more.
    CURRENT.try_with(from).ok().flatten()
}
