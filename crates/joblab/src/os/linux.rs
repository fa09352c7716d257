//! Linux: glibc's and musl's loader, and files in `/proc` (proc(5)).
#![allow(unsafe_code)]

#[cfg(not(joblab_portable))]
mod maps;
#[cfg(not(joblab_portable))]
pub(crate) mod native;
#[cfg(joblab_portable)]
pub(super) mod stamp;
pub(super) mod startup;

use std::ffi::{CStr, CString, c_int, c_void};
use std::ops::{ControlFlow, Range};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::{ptr, slice};

use super::image::LoadedImage;

/// The monotonic clock, which all processes of a machine share.
pub(crate) const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
/// Where the system lists the open files of a process.
pub(crate) const OPEN_FILES: &str = "/proc/self/fd";
/// Whether workers of Dask can run this program.
pub(crate) const HAS_DASK: bool = true;

/// The program and all libraries that are loaded, in the order in which they were loaded.
pub(crate) fn loaded_images() -> Vec<LoadedImage> {
    let mut images = Vec::new();
    each_image(&mut |info| {
        let segments = segments(info).collect();
        let name = if info.dlpi_name.is_null() {
            CString::default()
        } else {
            // SAFETY: it is a nul-terminated string as long as the library is loaded, which the
            // loader's lock sees to during this call.
            unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned()
        };
        // The program is the first one.
        let is_program = images.is_empty();
        let base = info.dlpi_addr as usize;
        images.push(LoadedImage { base, segments, name, is_program });
        ControlFlow::Continue(())
    });
    images
}

/// How many libraries have been unloaded up to now: as long as that stays the same, an address is of
/// the library that it was of. It costs a tenth of a microsecond.
pub(crate) fn count_unloaded() -> u64 {
    let mut count = 0;
    first_image(&mut |info| count = info.dlpi_subs);
    count
}

/// Whether an address is in the program, and not in a library.
pub(crate) fn is_in_program(address: usize) -> bool {
    let mut is_found = false;
    first_image(&mut |info| {
        is_found = segments(info).any(|segment| segment.contains(&address));
    });
    is_found
}

fn first_image(visit: &mut dyn FnMut(&libc::dl_phdr_info)) {
    each_image(&mut |info| {
        visit(info);
        ControlFlow::Break(())
    });
}

/// Shows all images, as long as that goes on, while the loader's lock is held.
fn each_image(visit: &mut dyn FnMut(&libc::dl_phdr_info) -> ControlFlow<()>) {
    type Visit<'a> = &'a mut dyn FnMut(&libc::dl_phdr_info) -> ControlFlow<()>;
    extern "C" fn call(info: *mut libc::dl_phdr_info, _: usize, visit: *mut c_void) -> c_int {
        // SAFETY: the loader gives a valid entry, and the caller the closure below, which nobody
        // else has until the loader returns.
        let (info, visit) = unsafe { (&*info, &mut *visit.cast::<Visit<'_>>()) };
        visit(info).is_break().into()
    }
    let mut visit: Visit<'_> = visit;
    // SAFETY: `call` takes what the loader and we give it. A panic in it would abort.
    unsafe { libc::dl_iterate_phdr(Some(call), ptr::from_mut(&mut visit).cast()) };
}

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Phdr;

fn headers(info: &libc::dl_phdr_info) -> &[Header] {
    if info.dlpi_phdr.is_null() {
        return &[];
    }
    // SAFETY: the loader gives as many headers as it says, for as long as the image is loaded.
    unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) }
}

/// Where the parts of an image that are loaded are.
fn segments(info: &libc::dl_phdr_info) -> impl Iterator<Item = Range<usize>> {
    let base = info.dlpi_addr as usize;
    headers(info).iter().filter(|header| header.p_type == libc::PT_LOAD).map(move |header| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        start..start.saturating_add(header.p_memsz as usize)
    })
}

/// Whether this is the process's first thread, whose id is that of the process (proc(5)). Where there
/// is no `/proc`, only notebooks need to ask, and their cells run in the first thread.
pub(crate) fn is_first_thread() -> bool {
    let pid = std::process::id();
    match std::fs::read_link("/proc/thread-self") {
        Ok(link) => link.as_os_str() == format!("{pid}/task/{pid}").as_str(),
        Err(_) => true,
    }
}

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

/// A turn to start a program: files close atomically here when that is done, and nobody need wait.
pub(crate) struct Turn;

pub(crate) fn spawning() -> Turn {
    Turn
}

/// There is room for a thousand files, and for whole batches in a socket.
pub(crate) fn raise_descriptor_limit() {}
pub(crate) fn widen(_: &UnixStream) {}

/// Lets the system give a list's memory in pages of two megabytes, as far as nobody has touched it yet and it has
/// such: to take a hundred megabytes page by page takes longer than to write them. What is small stays as it is.
pub(crate) fn prefer_large_pages<T>(list: &mut Vec<T>) {
    let bytes = list.capacity() * size_of::<T>();
    if bytes >= NEW {
        advise_large_pages(list.as_mut_ptr().cast(), bytes);
    }
}

/// From so many bytes on memory is new, and a mapping of its own: allocators keep smaller pieces that were given
/// back.
const NEW: usize = 1 << 25;

fn advise_large_pages(start: *mut c_void, bytes: usize) {
    // All of the mapping is of one kind then, as it has to be where it grows.
    let before = start as usize % PAGE;
    let first = start.wrapping_byte_sub(before);
    // SAFETY: the advice changes nothing but how memory is taken that nobody has touched. Where the system
    // refuses, it is taken as ever.
    unsafe { libc::madvise(first, before + bytes, libc::MADV_HUGEPAGE) };
}

/// As advice takes it; where pages are larger, the system refuses what begins between two.
const PAGE: usize = 4096;

/// A crash ends a process at once here.
pub(crate) fn quiet_crashes() {}
