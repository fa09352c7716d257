//! macOS: dyld's list of images (dyld(3)), kqueue(2), and Mach.
#![allow(unsafe_code)]

pub(super) mod shared;

use std::ffi::{CStr, CString, OsString, c_char, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::{ptr, slice};

use super::image::{Initializer, LoadedImage};
use super::macho::{self, INITIALIZER_OFFSETS, INITIALIZERS, MachO};

unsafe extern "C" {
    fn _dyld_image_count() -> u32;
    fn _dyld_get_image_header(image: u32) -> *const c_void;
    fn _dyld_get_image_name(image: u32) -> *const c_char;
    fn _dyld_get_image_vmaddr_slide(image: u32) -> isize;
    static mach_task_self_: u32;
    fn task_set_exception_ports(
        task: u32,
        exceptions: u32,
        port: u32,
        behavior: i32,
        flavor: i32,
    ) -> i32;
}

/// The monotonic clock, which all processes of a machine share, in nanoseconds: another one has steps of
/// microseconds here.
pub(crate) const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
/// Where the system lists the open files of a process.
pub(crate) const OPEN_FILES: &str = "/dev/fd";
/// Whether workers of Dask can run this program.
pub(crate) const HAS_DASK: bool = false;

/// What stands at the beginning of a loaded image.
///
/// # Safety
/// The header is one of dyld's, and the image stays loaded as long as this is used.
unsafe fn macho<'a>(header: *const c_void) -> MachO<'a> {
    // SAFETY: an image begins with its header, and with the commands that this speaks of.
    unsafe {
        let length = macho::length(&*header.cast());
        MachO(slice::from_raw_parts(header.cast(), length))
    }
}

/// The program and all libraries that are loaded, in the order in which they were loaded.
pub(crate) fn loaded_images() -> Vec<LoadedImage> {
    // SAFETY: the call gives a plain number.
    (0..unsafe { _dyld_image_count() }).filter_map(loaded_image).collect()
}

fn loaded_image(image: u32) -> Option<LoadedImage> {
    // SAFETY: these calls take and give plain numbers and what dyld keeps. An image that is unloaded
    // meanwhile shortens the list, and a number behind its end gives a null. (One that is unloaded while
    // its header is read here would have been unloaded by a thread that knows of no other one's tasks.)
    unsafe {
        let (header, name) = (_dyld_get_image_header(image), _dyld_get_image_name(image));
        if header.is_null() || name.is_null() {
            return None;
        }
        let base = _dyld_get_image_vmaddr_slide(image) as usize;
        let moved = |at: usize| at.wrapping_add(base);
        let segments = macho(header).segments();
        // Image 0 is the program.
        let is_program = image == 0;
        let name = if is_program { CString::default() } else { CStr::from_ptr(name).to_owned() };
        Some(LoadedImage {
            base,
            segments: segments.map(|range| moved(range.start)..moved(range.end)).collect(),
            name,
            is_program,
        })
    }
}

/// What the linker has made of an image's contents, in hexadecimal digits. (LC_UUID; none where it was
/// asked not to.)
pub(crate) fn stamp_of(image: &LoadedImage) -> Option<Vec<u8>> {
    // The first segment begins with the header.
    let header = header_of(image.segments.first()?.start)?;
    // SAFETY: dyld has just given the header.
    let uuid = unsafe { macho(header) }.uuid()?;
    Some(uuid.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
}

/// The header of the image that an address is in.
fn header_of(address: usize) -> Option<*const c_void> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `dladdr` fills in `info` where it answers other than 0, and takes any address.
    unsafe {
        let is_found = libc::dladdr(ptr::without_provenance(address), info.as_mut_ptr()) != 0;
        is_found.then(|| info.assume_init().dli_fbase.cast_const())
    }
}

/// Whether an address is in the program, and not in a library.
pub(crate) fn is_in_program(address: usize) -> bool {
    // SAFETY: the call takes a plain number. Image 0 is the program, which is never unloaded.
    header_of(address) == Some(unsafe { _dyld_get_image_header(0) })
}

/// The initializers of the program, where this one is among them.
pub(crate) fn initializers_with(initializer: Initializer) -> Option<Vec<Initializer>> {
    if !is_in_program(initializer as usize) {
        return None;
    }
    // SAFETY: image 0 is the program, which is never unloaded.
    let (header, slide) = unsafe { (_dyld_get_image_header(0), _dyld_get_image_vmaddr_slide(0)) };
    let mut all = Vec::new();
    // SAFETY: as above.
    for section in unsafe { macho(header) }.sections() {
        let start = section.addresses.start.wrapping_add(slide as usize);
        let length = section.addresses.len();
        // SAFETY: the section is loaded there, and aligned for what it has. dyld calls each of these
        // functions with what it takes.
        unsafe {
            match section.kind {
                INITIALIZERS => all.extend(slice::from_raw_parts(
                    ptr::with_exposed_provenance::<Initializer>(start),
                    length / size_of::<Initializer>(),
                )),
                INITIALIZER_OFFSETS => {
                    let first = ptr::with_exposed_provenance::<u32>(start);
                    let offsets = slice::from_raw_parts(first, length / size_of::<u32>());
                    all.extend(offsets.iter().map(|&offset| {
                        let function = header.byte_add(offset as usize);
                        std::mem::transmute::<*const c_void, Initializer>(function)
                    }));
                }
                _ => {}
            }
        }
    }
    Some(all)
}

/// Whether that is so for any of the program's notes.
pub(crate) fn any_notes_of_program(is_so: &dyn Fn(&[u8]) -> bool) -> bool {
    // SAFETY: image 0 is the program, which is never unloaded; its sections are loaded where this says.
    unsafe {
        let (header, slide) = (_dyld_get_image_header(0), _dyld_get_image_vmaddr_slide(0));
        let mut notes = macho(header).sections().filter(|section| section.name == b"__joblab");
        notes.any(|section| {
            let start = section.addresses.start.wrapping_add(slide as usize);
            let first = ptr::with_exposed_provenance(start);
            is_so(slice::from_raw_parts(first, section.addresses.len()))
        })
    }
}

/// The process has the name of its file here, by which it was started.
pub(crate) fn take_programs_name() {}

/// Whether this is the process's first thread.
pub(crate) fn is_first_thread() -> bool {
    // SAFETY: the call takes nothing and gives a number.
    unsafe { libc::pthread_main_np() != 0 }
}

/// A file that can be read from as soon as the process has ended (kqueue(2)), whoever else holds its
/// sockets open. None where it has ended, or there is no descriptor for one.
pub(crate) fn end_of(pid: u32) -> Option<OwnedFd> {
    // SAFETY: the calls take plain numbers and one event. The new descriptor belongs to nobody else; the
    // system passes it on to no child.
    unsafe {
        let queue = libc::kqueue();
        if queue < 0 {
            return None;
        }
        let queue = OwnedFd::from_raw_fd(queue);
        libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
        let mut event: libc::kevent = std::mem::zeroed();
        event.ident = pid as usize;
        event.filter = libc::EVFILT_PROC;
        event.flags = libc::EV_ADD;
        event.fflags = libc::NOTE_EXIT;
        let (none, now) = (ptr::null_mut(), ptr::null());
        let added = libc::kevent(queue.as_raw_fd(), &raw const event, 1, none, 0, now);
        (added == 0).then_some(queue)
    }
}

/// The current path of an open folder.
pub(crate) fn folder_of(folder: &OwnedFd) -> io::Result<PathBuf> {
    let mut path = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: the call writes a path and a nul, for which there is room.
    if unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_GETPATH, path.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    path.truncate(path.iter().position(|&byte| byte == 0).unwrap_or(path.len()));
    Ok(OsString::from_vec(path).into())
}

/// The system has no such choice.
pub(crate) fn prefer_large_pages<T>(_: &mut Vec<T>) {}

/// Gives a socket room for whole batches: it has 8 KB.
pub(crate) fn widen(socket: &UnixStream) {
    let bytes: libc::c_int = 1 << 18;
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        let (value, length) = ((&raw const bytes).cast(), size_of_val(&bytes) as _);
        // SAFETY: the call reads one number. Where the system refuses, the socket stays as it is.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, length) };
    }
}

/// Lets this process have as many open files as it may: it begins with 256, and a worker takes five,
/// with long results six.
pub(crate) fn raise_descriptor_limit() {
    /// More than that the system refuses, whatever it says (OPEN_MAX).
    const MOST: libc::rlim_t = 10240;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the calls read and write the one structure that they are given.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < MOST {
            limit.rlim_cur = limit.rlim_max.min(MOST);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Lets a crash end the process at once: no reporter is told, which would hold it up.
pub(crate) fn quiet_crashes() {
    const EXC_MASK_CRASH: u32 = 1 << 10;
    const EXCEPTION_DEFAULT: i32 = 1;
    // SAFETY: the call takes plain numbers. Without a port nobody is told of crashes of this process.
    unsafe { task_set_exception_ports(mach_task_self_, EXC_MASK_CRASH, 0, EXCEPTION_DEFAULT, 0) };
}
