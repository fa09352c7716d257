//! What the system says of processes: whether another one has ended, and what this one may do.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

/// A file that can be read from as soon as the process has ended (pidfd_open(2)), whoever else holds its
/// sockets open. None where the system has no such files, or no descriptor for one.
pub(crate) fn end_of(pid: u32) -> Option<OwnedFd> {
    // SAFETY: the call takes plain numbers; a descriptor that it gives is new and nobody else's, and is
    // closed when another program is started.
    unsafe {
        let file = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        (file >= 0).then(|| OwnedFd::from_raw_fd(file as i32))
    }
}

/// How many bytes a file may have that this process makes (RLIMIT_FSIZE of getrlimit(2)): it is killed
/// by a signal where it makes a longer one.
pub(crate) fn longest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the one structure that it is given.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}
