//! What Linux has and other systems do not: see [`portable`](crate::os), which has the same functions.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Stdin};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

pub(crate) use super::maps::files_of;
use crate::os::Interest;

/// As many files as one message may have (SCM_MAX_FD).
pub(crate) const MOST_FILES: usize = 253;
/// Files that come with a message are not for programs that are started later.
pub(crate) const RECEIVE: libc::c_int = libc::MSG_CMSG_CLOEXEC;
/// A write that nobody reads is an error, and no signal.
pub(crate) const SEND: libc::c_int = libc::MSG_NOSIGNAL;
/// How poll(2) is asked whether the other end is gone.
pub(crate) const HANG_UP: libc::c_short = libc::POLLRDHUP;

/// What hangs up when the process is gone that writes to our standard input.
pub(crate) type ParentWatch = Stdin;
pub(crate) const PARENT_ENDS: Interest = Interest::HangUp;

pub(crate) fn parent_watch() -> Option<ParentWatch> {
    Some(io::stdin())
}

/// How the program that runs is started again. However its file was renamed or replaced meanwhile, this
/// is it.
pub(crate) fn program() -> io::Result<PathBuf> {
    Ok("/proc/self/exe".into())
}

/// What a worker says of its program, so that its parent finds out whether it is another one: it never
/// is.
pub(crate) fn program_stamp() -> Vec<u8> {
    Vec::new()
}

/// Zeroed memory that is gone with the last process that has it; `name` is for whoever looks at the open
/// files of a process.
pub(crate) fn nameless_memory(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let longest = longest_file();
    if bytes as u64 > longest {
        // The system would end this process by a signal.
        let why = format!("no file may have more than {longest} bytes (`ulimit -f`)");
        return Err(io::Error::other(why));
    }
    // SAFETY: the name is a string that ends in a nul. The new descriptor belongs to nobody else.
    let file = unsafe {
        match libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) {
            -1 => return Err(io::Error::last_os_error()),
            file => File::from_raw_fd(file),
        }
    };
    file.set_len(bytes as u64)?;
    Ok(file.into())
}

/// How many bytes a file may have that this process makes (RLIMIT_FSIZE of getrlimit(2)): it is killed
/// by a signal where it makes a longer one.
fn longest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the one structure that it is given.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}

/// The current folder, whatever it is called later on and even where it cannot be listed. It does not
/// take the number of a standard stream that the program has closed: a worker has other files there.
pub(crate) fn current_folder() -> io::Result<OwnedFd> {
    let folder =
        File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(".")?;
    crate::os::unix::above_streams(&folder)
}

/// A path by which a program that is started now comes to an open folder.
pub(crate) fn path_of_folder(folder: &OwnedFd) -> io::Result<PathBuf> {
    Ok(format!("/proc/self/fd/{}", folder.as_raw_fd()).into())
}
