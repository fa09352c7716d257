//! Memory that processes can share: a kernel object without a name, which is gone with the last
//! process that has it.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::half;

/// A mapped piece of shared memory.
#[derive(Debug)]
pub(crate) struct Segment {
    start: NonNull<u8>,
    bytes: usize,
    file: OwnedFd,
}

// SAFETY: the memory is mapped as long as the segment lives, whichever thread has it; who may read
// and write it when is up to the types that own segments.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Zeroed memory, taken page by page as it is written to.
    pub(crate) fn zeroed(bytes: usize) -> io::Result<Segment> {
        Segment::called(c"joblab", bytes)
    }

    /// The same with another name for whoever looks at the open files of a process.
    pub(crate) fn called(name: &CStr, bytes: usize) -> io::Result<Segment> {
        Segment::map(half::nameless_memory(name, bytes)?, bytes)
    }

    /// Maps what another process has made; the file must be at least that long.
    pub(crate) fn open(file: OwnedFd, bytes: usize) -> io::Result<Segment> {
        let file = File::from(file);
        if file.metadata()?.len() < bytes as u64 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Segment::map(file.into(), bytes)
    }

    fn map(file: OwnedFd, bytes: usize) -> io::Result<Segment> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address that the system chooses touches no other memory. An
        // empty one is not allowed, and a byte more than the file has is never touched.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), bytes.max(1), protection, flags, file.as_raw_fd(), 0)
        };
        match NonNull::new(start.cast()) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED.cast() => {
                Ok(Segment { start, bytes, file })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What other processes need to map it too.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: `map` mapped exactly this, and nobody has a reference to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes.max(1)) };
    }
}
