//! Linux: `mmap`, `mlock`, `madvise`, `memfd_secret`, and what `/proc` says of them.
use crate::pages::config::Mode;
use crate::pages::refusal::{Advice, Refusal};
use alloc::string::String;
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use rustix::fs::ftruncate;
use rustix::io::Errno;
use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit,
};
use std::os::fd::{FromRawFd, OwnedFd};

fn refusal(what: &'static str) -> impl Fn(Errno) -> Refusal {
    move |errno| Refusal { what, errno: errno.raw_os_error() }
}

/// Bytes of a page.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Address space of `bytes` (whole pages) that faults when it is touched.
pub(crate) fn map(bytes: usize, mode: Mode) -> Result<NonNull<u8>, Refusal> {
    let at = match mode {
        // SAFETY: no address is asked for, so no mapping that exists is touched.
        Mode::Private => unsafe { mm::mmap_anonymous(null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE) }
            .map_err(refusal("mmap"))?,
        Mode::Secret => map_secret(bytes)?,
    };
    NonNull::new(at.cast()).ok_or(Refusal { what: "mmap", errno: Errno::NOMEM.raw_os_error() })
}

/// The descriptor closes here: the mapping keeps the pages.
fn map_secret(bytes: usize) -> Result<*mut c_void, Refusal> {
    let file = secret_file()?;
    ftruncate(&file, bytes as u64).map_err(refusal("ftruncate of secret memory"))?;
    // SAFETY: no address is asked for, so no mapping that exists is touched; nobody else has the file.
    unsafe { mm::mmap(null_mut(), bytes, ProtFlags::empty(), MapFlags::SHARED, &file, 0) }
        .map_err(refusal("mmap of secret memory"))
}

/// Rustix has no `memfd_secret`.
fn secret_file() -> Result<OwnedFd, Refusal> {
    // SAFETY: the call takes one integer, flags, and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let failed = || {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Refusal { what: "memfd_secret", errno }
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(failed)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes pages readable and writable; they are zero.
///
/// # Safety
/// `at` and `bytes` are whole pages of a mapping from [`map`] that nobody refers to.
pub(crate) unsafe fn open(at: NonNull<u8>, bytes: usize) -> Result<(), Refusal> {
    let access = MprotectFlags::READ | MprotectFlags::WRITE;
    // SAFETY: the caller's pages: nobody refers to them, and nothing is executed there.
    unsafe { mm::mprotect(at.as_ptr().cast(), bytes, access) }.map_err(refusal("mprotect"))
}

/// Keeps pages out of swap. (On secret memory they are locked from the start.)
///
/// # Safety
/// As for [`open`].
pub(crate) unsafe fn lock(at: NonNull<u8>, bytes: usize) -> Result<(), Refusal> {
    // SAFETY: the caller's pages; locking changes no byte.
    unsafe { mm::mlock(at.as_ptr().cast(), bytes) }.map_err(refusal("mlock"))
}

/// Tells the kernel how to treat pages.
///
/// # Safety
/// As for [`open`].
pub(crate) unsafe fn advise(at: NonNull<u8>, bytes: usize, advice: Advice) -> Result<(), Refusal> {
    let advice = match advice {
        Advice::DontDump => mm::Advice::LinuxDontDump,
        Advice::WipeOnFork => mm::Advice::LinuxWipeOnFork,
    };
    // SAFETY: the caller's pages; neither advice changes a byte in this process.
    unsafe { mm::madvise(at.as_ptr().cast(), bytes, advice) }.map_err(refusal("madvise"))
}

/// Gives a mapping back.
///
/// # Safety
/// `at` and `bytes` are those of one call of [`map`], and nobody refers to its memory.
pub(crate) unsafe fn unmap(at: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise. It cannot fail for a whole mapping; if it did, its pages, which are zero, would stay.
    let _ = unsafe { mm::munmap(at.as_ptr().cast(), bytes) };
}

/// What the kernel says about this process's mappings; empty where it says nothing.
pub(crate) fn smaps() -> String {
    std::fs::read_to_string("/proc/self/smaps").unwrap_or_default()
}

/// No core file, and no debugger of the same user.
pub(crate) fn hide_process() -> Result<(), Refusal> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refusal("setrlimit"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refusal("prctl"))
}

/// Whether this process leaves no core file and is hidden from debuggers of the same user: what a strict vault sees to. Read from the system.
pub fn process_is_hidden() -> bool {
    let no_core = getrlimit(Resource::Core).current == Some(0);
    no_core && matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable))
}
