//! macOS: dyld's list of images (dyld(3)).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

unsafe extern "C" {
    fn _dyld_image_count() -> u32;
    fn _dyld_get_image_header(image: u32) -> *const c_void;
    fn _dyld_get_image_name(image: u32) -> *const c_char;
}

/// The names of the program and of all libraries that are loaded, in the order in which they were
/// loaded. That of the program is empty, as on Linux.
pub(crate) fn names_of_loaded_images() -> Vec<CString> {
    // SAFETY: both calls take and give plain numbers and strings that dyld keeps. An image that is
    // unloaded meanwhile shortens the list, and a number behind its end gives a null.
    let name = |image| unsafe {
        let name = _dyld_get_image_name(image);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_owned())
    };
    // SAFETY: as above.
    let count = unsafe { _dyld_image_count() };
    // Image 0 is the program.
    let libraries = (1..count).filter_map(name);
    std::iter::once(CString::default()).chain(libraries).collect()
}

/// Whether an address is in the program, and not in a library.
pub(crate) fn is_in_program(address: usize) -> bool {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `dladdr` fills in `info` where it answers other than 0, and takes any address. Image 0
    // is the program, which is never unloaded.
    unsafe {
        libc::dladdr(ptr::without_provenance(address), info.as_mut_ptr()) != 0
            && ptr::eq(info.assume_init().dli_fbase.cast_const(), _dyld_get_image_header(0))
    }
}

/// For how long this thread has been runnable while no CPU was free: the system does not tell.
pub(crate) fn time_runnable() -> Option<Duration> {
    None
}
