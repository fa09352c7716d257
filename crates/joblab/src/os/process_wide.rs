//! What all copies of this crate in a process share.
//!
//! evcxr links this crate into the library of every cell anew, so that a plain static would be
//! another one in each cell. The system's loader knows all libraries, though: a static that is to be
//! the only one of its kind is exported, each loaded image is asked for it in the order in which they
//! were loaded, and all copies use the first answer. No library's symbols become visible to others by
//! it.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;

/// Declares a [`ProcessWide`] static. The name under which it is exported has this crate's version in
/// it, so that two versions in one process do not share what might have changed its type.
macro_rules! process_wide {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $own:expr; as $symbol:literal) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        static $name: $crate::os::process_wide::ProcessWide<$type> = {
            #[unsafe(export_name = concat!($symbol, "_", env!("CARGO_PKG_VERSION")))]
            static OWN: $type = $own;
            let name = concat!($symbol, "_", env!("CARGO_PKG_VERSION"), "\0");
            // SAFETY: every copy of this version of this crate exports `OWN` under this name, and
            // nobody else does.
            unsafe { $crate::os::process_wide::ProcessWide::new(name, &OWN) }
        };
    };
}
pub(crate) use process_wide;

/// A value of which this process has one, however many copies of this crate are loaded.
pub(crate) struct ProcessWide<T: 'static> {
    name: &'static str,
    own: &'static T,
    found: OnceLock<&'static T>,
}

impl<T: Sync> ProcessWide<T> {
    /// `name` ends in a nul.
    ///
    /// # Safety
    /// Whatever exports this name in this process must be a static of this type.
    pub(crate) const unsafe fn new(name: &'static str, own: &'static T) -> Self {
        ProcessWide { name, own, found: OnceLock::new() }
    }

    pub(crate) fn get(&self) -> &'static T {
        // What was found once stays what would be found: the library that was loaded first.
        self.found.get_or_init(|| self.find())
    }

    fn find(&self) -> &'static T {
        let symbol = CStr::from_bytes_with_nul(self.name.as_bytes());
        let symbol = symbol.expect("the name ends in its only nul");
        match super::first_exported(symbol, ptr::from_ref(self.own).cast()) {
            // SAFETY: `new`'s promise gives the type, and the library is never unloaded.
            Some(found) => unsafe { &*found.cast() },
            // A program that exports no symbols has one copy of this crate: its own.
            None => self.own,
        }
    }
}
