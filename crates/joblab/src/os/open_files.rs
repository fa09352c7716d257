//! What can be done with any open file, or before there is one.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An open file by a number that is none of a standard stream.
pub(crate) fn above_streams(file: &File) -> io::Result<OwnedFd> {
    // SAFETY: the file is open; the duplicate belongs to nobody else.
    unsafe {
        match libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) {
            -1 => Err(io::Error::last_os_error()),
            own => Ok(OwnedFd::from_raw_fd(own)),
        }
    }
}

/// Whether a file may have so many bytes that this process makes (RLIMIT_FSIZE of getrlimit(2)): the
/// system ends the process by a signal where it makes a longer one.
pub(crate) fn check_length(bytes: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the one structure that it is given.
    let longest = match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    };
    if bytes <= longest {
        return Ok(());
    }
    Err(io::Error::other(format!("no file may have more than {longest} bytes (`ulimit -f`)")))
}
