//! The operating system's part, typed alike everywhere.
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use linux::{advise, hide_process, lock, map, open, page_size, smaps, unmap};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{advise, hide_process, lock, map, open, page_size, smaps, unmap};

#[cfg(target_os = "linux")]
pub use linux::process_is_hidden;
#[cfg(not(target_os = "linux"))]
pub use other::process_is_hidden;
