//! macOS: dyld's list of images (dyld(3)).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};

unsafe extern "C" {
    fn _dyld_image_count() -> u32;
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
