//! Systems that are neither Linux nor macOS, as Windows: threads run there, and no processes.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::convert::Infallible;
use std::ffi::{CStr, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// No file goes to another process.
pub(crate) type Descriptor = Infallible;
/// Nobody waits for the end of a process.
pub(crate) type ParentWatch = Infallible;

pub(crate) fn parent_watch() -> Option<ParentWatch> {
    None
}

/// Zeroed memory of this process.
#[derive(Debug)]
pub(crate) struct Segment {
    start: NonNull<u8>,
    bytes: usize,
    layout: Layout,
}

// SAFETY: the memory lives as long as the segment, whichever thread has it; who may read and write it
// when is up to the types that own segments.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    pub(crate) fn zeroed(bytes: usize) -> io::Result<Segment> {
        // As a page is, so that any numbers are aligned.
        let layout = Layout::from_size_align(bytes.max(1), 4096).map_err(io::Error::other)?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) });
        let start = start.ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Segment { start, bytes, layout })
    }

    pub(crate) fn called(_: &CStr, bytes: usize) -> io::Result<Segment> {
        Segment::zeroed(bytes)
    }

    pub(crate) fn open(file: Descriptor, _: usize) -> io::Result<Segment> {
        match file {}
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody has a reference to it any more.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Since the first time that it was asked for: no other process asks.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Opens a file which nobody else has open until it is closed. The error's kind is `ResourceBusy` where
/// somebody has.
pub(crate) fn open_alone(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        /// `ERROR_SHARING_VIOLATION` of CreateFileW.
        const SHARING_VIOLATION: i32 = 32;
        options.share_mode(0).open(path).map_err(|error| match error.raw_os_error() {
            Some(SHARING_VIOLATION) => io::ErrorKind::ResourceBusy.into(),
            _ => error,
        })
    }
    #[cfg(not(windows))]
    options.open(path)
}

/// Closing the file does it.
pub(crate) fn let_others_open(_: &File) {}

/// Whatever the system does.
pub(crate) fn prefer_large_pages<T>(_: &mut Vec<T>) {}

pub(crate) fn cpu_of_children() -> Duration {
    Duration::ZERO
}

/// Each copy of this crate has its own statics.
pub(crate) fn first_exported(_: &CStr, _: *const c_void) -> Option<*const c_void> {
    None
}

pub(crate) fn is_in_program(_: usize) -> bool {
    true
}

/// Only notebooks need to ask, and their cells run in the first thread.
pub(crate) fn is_first_thread() -> bool {
    true
}

pub(crate) fn exit_now(status: i32) -> ! {
    std::process::exit(status)
}
