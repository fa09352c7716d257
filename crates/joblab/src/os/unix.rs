//! The few calls that the standard library does not have, and all Unix systems do.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use super::half;
use super::spin::spin;
use super::system::{CLOCK, OPEN_FILES, loaded_images};

/// An open file that can go to another process.
pub(crate) type Descriptor = OwnedFd;

/// Waits until one of the files can be read (or written, where asked for) or its other end is
/// gone, at most for the given time, else for ever. Tells for each file whether that is so. It looks
/// a few times before it sleeps.
pub(crate) fn wait(
    files: &[(BorrowedFd<'_>, Interest)],
    most: Option<Duration>,
) -> io::Result<Vec<bool>> {
    // Rounded up: a wait that ends a moment too early would have to be begun again.
    let milliseconds = most.map_or(-1, |most| most.as_millis() as libc::c_int + 1);
    let mut list: Vec<libc::pollfd> =
        files.iter().map(|(file, interest)| entry(*file, *interest)).collect();
    // An error is something to tell of too.
    let now = spin(|| Some(poll(&mut list, 0)).filter(|found| !matches!(found, Ok(0))));
    now.unwrap_or_else(|| poll(&mut list, milliseconds))?;
    Ok(list.iter().map(|file| file.revents != 0).collect())
}

/// Whether one of two files can be read now, or its other end is gone.
pub(crate) fn is_readable(files: [Option<BorrowedFd<'_>>; 2]) -> bool {
    // poll(2) passes over negative descriptors.
    let none = libc::pollfd { fd: -1, events: 0, revents: 0 };
    let mut list = files.map(|file| file.map_or(none, |file| entry(file, Interest::Read)));
    !matches!(poll(&mut list, 0), Ok(0))
}

fn entry(file: BorrowedFd<'_>, interest: Interest) -> libc::pollfd {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::ReadAndWrite => libc::POLLIN | libc::POLLOUT,
        Interest::Write => libc::POLLOUT,
        Interest::HangUp => half::HANG_UP,
    };
    libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 }
}

fn poll(list: &mut [libc::pollfd], milliseconds: libc::c_int) -> io::Result<libc::c_int> {
    loop {
        // SAFETY: `list` holds as many entries as its length says. Who made them has borrowed the files.
        let found =
            unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, milliseconds) };
        if found >= 0 {
            return Ok(found);
        }
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Opens a file which nobody else opens in this way until it is closed. The error's kind is `ResourceBusy`
/// where somebody has.
pub(crate) fn open_alone(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path)?;
    // SAFETY: the file is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(file);
    }
    let error = io::Error::last_os_error();
    let is_locked = error.kind() == ErrorKind::WouldBlock;
    Err(if is_locked { ErrorKind::ResourceBusy.into() } else { error })
}

/// Lets others open a file that is about to be closed. Its closing is not enough, since a process that is
/// being started elsewhere in this program has the file too, for a moment (flock(2)).
pub(crate) fn let_others_open(file: &File) {
    // SAFETY: the file is open.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// What is waited for where [`parent_watch`](half::parent_watch) tells of the parent's end.
pub(crate) const PARENT_ENDS: Interest =
    if half::PARENT_HANGS_UP { Interest::HangUp } else { Interest::Read };

/// What [`wait`] waits for.
#[derive(Clone, Copy)]
pub(crate) enum Interest {
    Read,
    ReadAndWrite,
    Write,
    /// Only for the other end to go away, where the system can be asked for that.
    HangUp,
}

/// Makes reads of a pipe return at once where there is nothing to read.
pub(crate) fn set_nonblocking(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the file is open as long as it is borrowed; the calls take and give plain numbers.
    let done = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How much a pipe holds now.
pub(crate) fn bytes_to_read(pipe: BorrowedFd<'_>) -> usize {
    let mut length: libc::c_int = 0;
    // SAFETY: the file is open as long as it is borrowed, and the call writes a c_int.
    let done = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut length) };
    if done == -1 { 0 } else { length as usize }
}

/// As much goes through a pipe in one piece, whoever else writes to it (pipe(7)).
pub(crate) const PIPE_BUF: usize = libc::PIPE_BUF;

/// A stream that every process has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Stdout = libc::STDOUT_FILENO as isize,
    Stderr = libc::STDERR_FILENO as isize,
}

/// Writes to a stream, all or up to an error, and takes no lock: std's may be held by a caller that
/// waits for us.
pub(crate) fn write_to(stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
    let descriptor = stream as libc::c_int;
    while !bytes.is_empty() {
        // SAFETY: the call reads as many bytes as there are. A descriptor that is closed is an error.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        if let Ok(written) = usize::try_from(written) {
            bytes = &bytes[written..];
            continue;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::WouldBlock => {
                // SAFETY: it was open just now; waiting for one that is closed meanwhile is an error.
                let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
                wait(&[(file, Interest::Write)], None)?;
            }
            _ => return Err(error),
        }
    }
    Ok(())
}

/// Makes writes of this thread fail where a signal would end the process: nobody reads any more, or
/// the file may get no longer. Both signals are the writing thread's own.
pub(crate) fn block_write_signals() {
    // SAFETY: the set is made by `sigemptyset`; the calls change the mask of this thread only.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGPIPE);
        libc::sigaddset(&raw mut signals, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}

/// Takes standard input away from the process: returns it as a file of its own that programs
/// started later do not inherit, and leaves `/dev/null` in its place.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: descriptor 0 is duplicated before it is replaced, and the duplicate belongs to
    // nobody else; both calls take and give plain numbers.
    unsafe {
        let own = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3);
        if own == -1 {
            return Err(io::Error::last_os_error());
        }
        let own = OwnedFd::from_raw_fd(own);
        if libc::dup2(null.as_raw_fd(), 0) == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(own)
    }
}

/// Loads a library, or finds it loaded. It stays loaded for the life of the process.
pub(crate) fn load_library(path: &OsStr) -> Result<(), String> {
    let path = CString::new(path.as_bytes()).map_err(|_| "its path holds a nul".to_owned())?;
    // SAFETY: the path ends in a nul. Loading runs the library's start-up code: the library is one
    // that the parent, which is the same program, has loaded too.
    unsafe {
        if !libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL).is_null() {
            return Ok(());
        }
        let reason = libc::dlerror();
        if reason.is_null() {
            return Err("the loader gives no reason".to_owned());
        }
        Err(CStr::from_ptr(reason).to_string_lossy().into_owned())
    }
}

/// Ends the process at once, whatever its threads are doing.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return. Nothing of this process outlives it
    // that would need tidying up.
    unsafe { libc::_exit(status) }
}

/// Lets a crash end the process by its own signal: evcxr's runtime has handlers that would print a
/// page and abort.
pub(crate) fn default_crash_handlers() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL] {
        // SAFETY: the default action of a signal may be set at any time.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Writes to a pipe that nobody reads are errors, as std has it in `main`, and no end of the process.
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: the action of a signal may be set at any time.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Closes a descriptor that this process has inherited.
pub(crate) fn close_inherited(descriptor: i32) {
    // SAFETY: nobody here knows of it: who calls this does so before anything else has run.
    unsafe { libc::close(descriptor) };
}

/// Ends all processes of the group that this process leads, itself included; where it leads none,
/// does nothing.
pub(crate) fn kill_own_group() {
    // SAFETY: the calls take and give plain numbers.
    unsafe {
        if libc::getpgrp() == libc::getpid() {
            libc::kill(0, libc::SIGKILL);
        }
    }
}

/// Ends all processes of a group. Its leader has not been waited for, so that the number is no other
/// group's.
pub(crate) fn kill_group(leader: u32) {
    // SAFETY: the call takes plain numbers.
    unsafe { libc::kill(-(leader as libc::pid_t), libc::SIGKILL) };
}

/// The CPU time, user and system, of all children of this process that have ended and were waited for,
/// and of theirs.
pub(crate) fn cpu_of_children() -> Duration {
    // SAFETY: the structure is plain numbers, of which zeros are a value; the call fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

/// The time on the monotonic clock that all processes of a machine share (clock_gettime(2)).
#[inline]
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` has room for the answer, and this clock is always there.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The static that is exported under a name by the image, of those that export it, that was loaded
/// first. None where that is `own`, or no image exports it.
pub(crate) fn first_exported(name: &CStr, own: *const c_void) -> Option<*const c_void> {
    for image in loaded_images() {
        // The program has an empty name here, and none where it is asked for.
        let image = if image.is_program { ptr::null() } else { image.name.as_ptr() };
        // SAFETY: `image` is null or a nul-terminated string. NOLOAD runs no code of any library: it
        // finds one that is loaded.
        let handle = unsafe { libc::dlopen(image, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            continue;
        }
        // SAFETY: the handle is valid and the name a nul-terminated string.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) }.cast_const();
        if !found.is_null() && !ptr::eq(found, own) {
            // The reference that `dlopen` took is kept: the library stays loaded.
            return Some(found);
        }
        // SAFETY: this gives back the reference that `dlopen` took.
        unsafe { libc::dlclose(handle) };
        if !found.is_null() {
            break;
        }
    }
    None
}

/// The descriptors, besides the first three, that a program started now would inherit.
pub(crate) fn inheritable_descriptors() -> io::Result<Vec<i32>> {
    let entries = std::fs::read_dir(OPEN_FILES)?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // SAFETY: the call takes and gives plain numbers.
    let flags = |descriptor| unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    let is_inheritable =
        |&descriptor: &i32| descriptor > 2 && flags(descriptor) & libc::FD_CLOEXEC == 0;
    Ok(numbers.filter(is_inheritable).collect())
}
