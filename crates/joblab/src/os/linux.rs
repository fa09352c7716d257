//! Linux: glibc's and musl's loader, and files in `/proc` (proc(5)).
#![allow(unsafe_code)]

pub(crate) mod startup;

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;
use std::{ptr, slice};

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

/// The names of the program and of all libraries that are loaded, in the order in which they were
/// loaded. That of the program is empty (dl_iterate_phdr(3)).
pub(crate) fn names_of_loaded_images() -> Vec<CString> {
    loaded_images().into_iter().map(|image| image.name).collect()
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

/// The current folder, whatever it is called later on and even where it cannot be listed. It does not
/// take the number of a standard stream that the program has closed: a worker has other files there.
pub(crate) fn current_folder() -> io::Result<OwnedFd> {
    let folder =
        File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(".")?;
    // SAFETY: the file is open; the duplicate belongs to nobody else.
    unsafe {
        match libc::fcntl(folder.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) {
            -1 => Err(io::Error::last_os_error()),
            own => Ok(OwnedFd::from_raw_fd(own)),
        }
    }
}

/// The descriptors, besides the first three, that a program started now would inherit.
pub(crate) fn inheritable_descriptors() -> io::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // SAFETY: the call takes and gives plain numbers.
    let flags = |descriptor| unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    let is_inheritable =
        |&descriptor: &i32| descriptor > 2 && flags(descriptor) & libc::FD_CLOEXEC == 0;
    Ok(numbers.filter(is_inheritable).collect())
}

/// For how long this thread has been runnable while no CPU was free, since it started: the second number
/// of `/proc/thread-self/schedstat` (proc(5), and Documentation/scheduler/sched-stats.rst of Linux). None
/// where the system keeps no account of it.
pub(crate) fn time_runnable() -> Option<Duration> {
    let mut text = [0; 64];
    let length = File::open("/proc/thread-self/schedstat").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    // One that has never executed cannot have asked.
    let executed: u64 = numbers.next()??;
    let runnable = numbers.next()??;
    (executed > 0).then_some(Duration::from_nanos(runnable))
}
