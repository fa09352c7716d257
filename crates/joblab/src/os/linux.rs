//! Linux: glibc's and musl's loader, and files in `/proc` (proc(5)).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};

/// The names of the program and of all libraries that are loaded, in the order in which they were
/// loaded. That of the program is empty (dl_iterate_phdr(3)).
pub(crate) fn names_of_loaded_images() -> Vec<CString> {
    extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, names: *mut c_void) -> c_int {
        // SAFETY: the loader gives a valid entry, and the caller the list below, which nobody else
        // has until the loader returns.
        let (info, names) = unsafe { (&*info, &mut *names.cast::<Vec<CString>>()) };
        if !info.dlpi_name.is_null() {
            // SAFETY: it is a nul-terminated string as long as the library is loaded, which the
            // loader's lock sees to during this call.
            names.push(unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned());
        }
        0
    }
    let mut names: Vec<CString> = Vec::new();
    // SAFETY: `add` takes what the loader and we give it, and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut names).cast()) };
    names
}
