//! What all copies of this crate in a process share on macOS.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

use super::loaded_images;
use crate::os::lock::lock;
use crate::os::process_wide::process_wide;

unsafe extern "C" {
    fn _dyld_register_func_for_remove_image(call: extern "C" fn(*const c_void, isize));
}

process_wide! {
    /// Of all copies of this crate: how many images dyld has said to have unloaded.
    static UNLOADED: AtomicU64 = AtomicU64::new(0); as "joblab_unloaded"
}
process_wide! {
    static LISTENS: Once = Once::new(); as "joblab_unloaded_listens"
}
process_wide! {
    /// Held while a program is started: files that are to be closed then are not so from the beginning.
    static SPAWNING: Mutex<()> = Mutex::new(()); as "joblab_spawning"
}

/// How many libraries have been unloaded up to now: as long as that stays the same, an address is of
/// the library that it was of.
pub(crate) fn count_unloaded() -> u64 {
    extern "C" fn count(_: *const c_void, _: isize) {
        UNLOADED.get().fetch_add(1, Ordering::SeqCst);
    }
    // dyld holds its lock when it calls: the static has been found by then.
    let unloaded = UNLOADED.get();
    LISTENS.get().call_once(|| {
        keep_loaded(count as *const c_void as usize);
        // SAFETY: the function stays where it is, as was seen to.
        unsafe { _dyld_register_func_for_remove_image(count) };
    });
    unloaded.load(Ordering::SeqCst)
}

/// Keeps the image of an address from being unloaded.
fn keep_loaded(address: usize) {
    let images = loaded_images();
    if let Some(image) = images.iter().find(|image| image.contains(address) && !image.is_program) {
        // SAFETY: the name is a nul-terminated string; this finds the library that is loaded, and the
        // reference is kept.
        unsafe { libc::dlopen(image.name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    }
}

/// A turn to start a program.
pub(crate) fn spawning() -> MutexGuard<'static, ()> {
    lock(SPAWNING.get())
}
