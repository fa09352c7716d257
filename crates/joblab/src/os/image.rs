//! The program and the libraries that a process has loaded.

use std::ffi::{CString, OsString};
use std::ops::Range;

/// The program or a library, as the loader has put it into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadedImage {
    /// What the loader has added to each address that is written in the file.
    pub(crate) base: usize,
    /// Where its code and its data are.
    pub(crate) segments: Vec<Range<usize>>,
    /// The name by which it was loaded. That of the program is empty.
    pub(crate) name: CString,
    pub(crate) is_program: bool,
}

impl LoadedImage {
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.segments.iter().any(|segment| segment.contains(&address))
    }
}

/// A loaded image, and the file that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Where the loader has put it: what an address in the file is counted from.
    pub(crate) base: usize,
    /// Tells the file from one that was built anew since and has the same path, in bytes without a nul.
    pub(crate) identity: Vec<u8>,
    pub(crate) path: OsString,
    /// The name by which it was loaded: another one where there are links.
    pub(crate) name: OsString,
    /// Whether the file is the program, and not a library.
    pub(crate) is_program: bool,
}
