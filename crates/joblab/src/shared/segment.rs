//! Memory that processes can share: a kernel object without a name, which is gone with the last
//! process that has it (memfd_create(2)).
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

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
        #[cfg(target_os = "linux")]
        let file = without_name(name)?;
        #[cfg(not(target_os = "linux"))]
        let (_, file) = (name, with_its_name_removed()?);
        Segment::zeros_of(file, bytes)
    }

    fn zeros_of(file: OwnedFd, bytes: usize) -> io::Result<Segment> {
        let file = File::from(file);
        #[cfg(target_os = "linux")]
        check_length(bytes as u64)?;
        file.set_len(bytes as u64)?;
        Segment::map(file.into(), bytes)
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

/// The system would end this process by a signal.
#[cfg(target_os = "linux")]
fn check_length(bytes: u64) -> io::Result<()> {
    let longest = crate::os::longest_file();
    if bytes <= longest {
        return Ok(());
    }
    Err(io::Error::other(format!("no file may have more than {longest} bytes (`ulimit -f`)")))
}

#[cfg(target_os = "linux")]
fn without_name(name: &CStr) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the name is a string that ends in a nul. The new descriptor belongs to nobody else.
    unsafe {
        match libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            file => Ok(OwnedFd::from_raw_fd(file)),
        }
    }
}

/// A file that has lost its name at once: for systems without `memfd_create`.
#[cfg(any(not(target_os = "linux"), test))]
fn with_its_name_removed() -> io::Result<OwnedFd> {
    let (pid, thread) = (std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(format!("joblab-{pid}-{thread:?}"));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(OwnedFd::from(file))
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: `map` mapped exactly this, and nobody has a reference to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes.max(1)) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_name_is_shared_memory_too() {
        let [one, other] = [1000, 0].map(|bytes| {
            let file = with_its_name_removed().unwrap();
            Segment::zeros_of(file, bytes).unwrap()
        });
        assert_eq!((one.bytes(), other.bytes()), (1000, 0));
        let link = format!("/proc/self/fd/{}", one.file().as_raw_fd());
        let name = std::fs::read_link(&link).unwrap().display().to_string();
        assert!(name.contains("joblab-") && name.ends_with(" (deleted)"), "{name}");
        let theirs = File::options().read(true).write(true).open(link).unwrap();
        let theirs = Segment::open(theirs.into(), 1000).unwrap();
        // SAFETY: both have a thousand bytes, and nobody else has them.
        unsafe {
            one.start().add(999).write(7);
            assert_eq!(theirs.start().add(999).read(), 7);
        }
    }
}
