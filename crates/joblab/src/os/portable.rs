//! What any Unix can do, for macOS and for test builds on Linux: `linux/native.rs` has the same functions,
//! with what only Linux has.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::system::{end_of, folder_of, stamp_of};
use super::{Image, Interest, LoadedImage, loaded_images};

/// As many files as one message may have, with room to spare: what the system takes is not written down.
pub(crate) const MOST_FILES: usize = 64;
/// There are no options that all systems have; who writes here ignores signals.
pub(crate) const SEND: libc::c_int = 0;
pub(crate) const RECEIVE: libc::c_int = 0;
/// poll(2) cannot be asked only for that: the end of the process tells.
pub(crate) const HANG_UP: libc::c_short = 0;

/// What can be read when the process is gone that has started this one.
pub(crate) type ParentWatch = OwnedFd;
pub(crate) const PARENT_ENDS: Interest = Interest::Read;

pub(crate) fn parent_watch() -> Option<ParentWatch> {
    end_of(parent_id())
}

/// How the program that runs is started again. There may be another one under its name by now: see
/// [`program_stamp`].
pub(crate) fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// What a worker says of its program, so that its parent finds out whether it is another one.
pub(crate) fn program_stamp() -> Vec<u8> {
    let images = loaded_images();
    let program = images.iter().find(|image| image.is_program);
    program.and_then(stamp_of).unwrap_or_default()
}

/// The files of these images, but for those that have none: by their paths and by what the linker has made
/// of their contents.
///
/// # Errors
/// As the same function for Linux may have.
pub(crate) fn files_of(images: Vec<LoadedImage>) -> Result<Vec<Image>, String> {
    Ok(images.into_iter().filter_map(file_of).collect())
}

fn file_of(image: LoadedImage) -> Option<Image> {
    let identity = stamp_of(&image)?;
    let name = OsString::from_vec(image.name.into_bytes());
    let path = if image.is_program { program().ok()? } else { name.clone().into() };
    // The system's own libraries have no files.
    let path = fs::canonicalize(&path).ok().or_else(|| path.is_absolute().then_some(path))?;
    let (base, is_program) = (image.base, image.is_program);
    Some(Image { base, identity, path: path.into(), name, is_program })
}

/// Zeroed memory that is gone with the last process that has it. It has a name for a moment only, which
/// begins with this one.
pub(crate) fn nameless_memory(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let file = loop {
        let name = next_name(name);
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
        // SAFETY: the name is a string that ends in a nul. The new descriptor belongs to nobody else, and
        // is closed when another program is started (shm_open(3)).
        let file = unsafe {
            match libc::shm_open(name.as_ptr(), flags, 0o600) {
                -1 => Err(io::Error::last_os_error()),
                file => {
                    libc::shm_unlink(name.as_ptr());
                    Ok(File::from_raw_fd(file))
                }
            }
        };
        match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            file => break file?,
        }
    };
    // Once, and never to nothing: macOS refuses both.
    file.set_len(bytes.max(1) as u64)?;
    Ok(file.into())
}

/// A name that nobody has, or hardly: at most 31 bytes, as macOS has it.
fn next_name(name: &CStr) -> CString {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    // Each copy of this crate has its own count.
    let copy = (&raw const COUNT).addr() >> 4 & 0xffff;
    CString::new(format!("/{:.7}-{pid:x}-{copy:x}-{count:x}", name.to_string_lossy()))
        .unwrap_or_default()
}

/// The current folder, whatever it is called later on. It does not take the number of a standard stream
/// that the program has closed: a worker has other files there.
pub(crate) fn current_folder() -> io::Result<OwnedFd> {
    super::unix::above_streams(&File::open(".")?)
}

/// A path by which a program that is started now comes to an open folder.
pub(crate) fn path_of_folder(folder: &OwnedFd) -> io::Result<PathBuf> {
    folder_of(folder)
}
