//! The lock that plays Python's GIL: one per process, whichever cell calls.
//!
//! evcxr links this crate into the library of every cell anew, so that a plain static would be a
//! different lock in each cell, and functions of two cells would not exclude each other. The
//! system's loader knows one symbol for them all, though: the static below is exported, each
//! library promotes itself into the loader's global scope before it looks the symbol up, and
//! they all find that of the library that was promoted first (`dlopen(3)`, RTLD_GLOBAL).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

/// Named with the crate's version, so that two versions in one process do not share a lock whose
/// type might have changed.
#[unsafe(export_name = concat!("joblab_gil_", env!("CARGO_PKG_VERSION")))]
static GIL: Mutex<()> = Mutex::new(());

const SYMBOL: &str = concat!("joblab_gil_", env!("CARGO_PKG_VERSION"), "\0");

/// Runs `f` while holding the lock that plays Python's GIL.
///
/// There is one lock in a process; a worker process has its own. A panic in `f` leaves the lock
/// usable. The lock does not nest: `f` must not call `with_gil` itself, or anything that does,
/// such as [`wait_loop_withgil`](crate::wait_loop_withgil).
///
/// ```
/// let answer = joblab::with_gil(|| 6 * 7);
/// assert_eq!(answer, 42);
/// ```
pub fn with_gil<T>(f: impl FnOnce() -> T) -> T {
    // The lock guards time, not data: a panic cannot have left anything half done under it.
    let _held = process_gil().lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

fn process_gil() -> &'static Mutex<()> {
    let symbol = CStr::from_bytes_with_nul(SYMBOL.as_bytes()).expect("SYMBOL ends in its only nul");
    promote_own_library();
    // SAFETY: `symbol` is a nul-terminated string and RTLD_DEFAULT a valid handle.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    if found.is_null() {
        // A program that exports no symbols has one copy of this crate: its own.
        return &GIL;
    }
    // SAFETY: the name belongs to this crate and this version of it, whose every copy defines it
    // as a `Mutex<()>`; std is one library for all cells, so the type is the same in each. A cell's
    // library is never unloaded, and a program's static lives as long as the program.
    unsafe { &*found.cast::<Mutex<()>>() }
}

/// Makes the symbols of the library that this code is in visible to lookups from other libraries.
fn promote_own_library() {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    let here = (&raw const GIL).cast::<c_void>();
    // SAFETY: `here` is an address in this library and `info` has room for the answer.
    if unsafe { libc::dladdr(here, info.as_mut_ptr()) } == 0 {
        return;
    }
    // SAFETY: dladdr answered, so it filled `info`; the path lives as long as the library.
    let path = unsafe { info.assume_init().dli_fname };
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_GLOBAL;
    // SAFETY: `path` is a nul-terminated string. NOLOAD runs no code of any library: it finds the
    // one that is loaded, or, for the program itself, nothing. Closing gives back the reference
    // that this call took; the promotion stays.
    unsafe {
        let library = libc::dlopen(path, flags);
        if !library.is_null() {
            libc::dlclose(library);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_lock_usable() {
        let panicked = std::panic::catch_unwind(|| with_gil(|| panic!("while holding the lock")));
        assert!(panicked.is_err());
        assert_eq!(with_gil(|| 1), 1);
    }
}
