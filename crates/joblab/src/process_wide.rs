//! What all copies of this crate in a process share.
//!
//! evcxr links this crate into the library of every cell anew, so that a plain static would be
//! another one in each cell. The system's loader knows one symbol for them all, though: the static
//! below is exported, each library promotes itself into the loader's global scope before it looks
//! the symbol up, and they all find that of the library that was promoted first (`dlopen(3)`,
//! RTLD_GLOBAL).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::sync::{Mutex, OnceLock};

use crate::nesting::{self, Nesting};

/// The lock that plays the GIL, and where threads keep how deep in calls they are.
pub(crate) struct ProcessWide {
    pub(crate) gil: Mutex<()>,
    /// Gives the current thread a new value where there is one, and returns the old one.
    pub(crate) nesting: fn(Option<Nesting>) -> Nesting,
}

/// Named with the crate's version, so that two versions in one process do not share what might have
/// changed its type.
#[unsafe(export_name = concat!("joblab_process_wide_", env!("CARGO_PKG_VERSION")))]
static PROCESS_WIDE: ProcessWide = ProcessWide { gil: Mutex::new(()), nesting: nesting::exchange };

const SYMBOL: &str = concat!("joblab_process_wide_", env!("CARGO_PKG_VERSION"), "\0");

/// The one that all copies of this crate in this process use.
pub(crate) fn process_wide() -> &'static ProcessWide {
    // What was found once stays what would be found: the first promoted library comes first.
    static FOUND: OnceLock<&ProcessWide> = OnceLock::new();
    FOUND.get_or_init(find)
}

fn find() -> &'static ProcessWide {
    let symbol = CStr::from_bytes_with_nul(SYMBOL.as_bytes()).expect("SYMBOL ends in its only nul");
    promote_own_library();
    // SAFETY: `symbol` is a nul-terminated string and RTLD_DEFAULT a valid handle.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    if found.is_null() {
        // A program that exports no symbols has one copy of this crate: its own.
        return &PROCESS_WIDE;
    }
    // SAFETY: the name belongs to this crate and this version of it, whose every copy defines it
    // as a `ProcessWide`; std is one library for all cells, so the type is the same in each. A cell's
    // library is never unloaded, and a program's static lives as long as the program.
    unsafe { &*found.cast::<ProcessWide>() }
}

/// Makes the symbols of the library that this code is in visible to lookups from other libraries.
fn promote_own_library() {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    let here = (&raw const PROCESS_WIDE).cast::<c_void>();
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
