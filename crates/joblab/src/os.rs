//! Everything that we know of the operating system: calls that the standard library does not have,
//! fenced in here, and small things around threads and processes. No other file asks which system it is.
//!
//! What Linux and macOS share is in `unix.rs` and the files beside it; what only one of them has is in
//! `linux.rs` and `macos.rs`, under the same names. Where macOS has to do with what any Unix has and
//! Linux has something stronger, that is in `portable.rs` and `linux/native.rs`, again under the same
//! names: a test build (`--cfg joblab_portable`) runs `portable.rs` on Linux. Elsewhere there are threads
//! only, with what `other.rs` has.

mod cpus;
#[cfg(unix)]
mod descriptors;
#[cfg(unix)]
mod half;
#[cfg(unix)]
mod image;
#[cfg(target_os = "linux")]
mod linux;
mod lock;
#[cfg(any(target_os = "macos", test))]
mod macho;
#[cfg(target_os = "macos")]
mod macos;
mod names;
#[cfg(unix)]
mod open_files;
mod origin;
#[cfg(not(unix))]
mod other;
#[cfg(any(target_os = "macos", joblab_portable))]
mod portable;
pub(crate) mod process_wide;
mod runnable;
#[cfg(unix)]
mod segment;
mod spin;
mod stack;
#[cfg(unix)]
pub(crate) mod startup;
#[cfg(unix)]
mod system;
#[cfg(unix)]
mod unix;

pub use self::cpus::cpu_count;
#[cfg(target_os = "linux")]
pub(crate) use self::linux::{count_unloaded, spawning};
pub(crate) use self::lock::lock;
#[cfg(target_os = "macos")]
pub(crate) use self::macos::shared::{count_unloaded, spawning};
pub(crate) use self::names::{MAIN_THREAD, PROCESS_NAME, process_name, thread_name};
pub(crate) use self::origin::Origin;
#[cfg(not(unix))]
pub(crate) use self::other::{
    Descriptor, ParentWatch, Segment, cpu_of_children, exit_now, is_first_thread, is_in_program,
    let_others_open, monotonic_nanoseconds, open_alone, parent_watch, prefer_large_pages,
};
pub(crate) use self::process_wide::process_wide;
pub(crate) use self::runnable::RunnableClock;
pub(crate) use self::spin::spin;
pub(crate) use self::stack::stack_size;
#[cfg(unix)]
pub(crate) use self::{
    descriptors::{Received, receive, send},
    half::{
        MOST_FILES, ParentWatch, current_folder, files_of, parent_watch, path_of_folder, program,
        program_stamp,
    },
    image::{Image, LoadedImage},
    segment::Segment,
    system::{
        HAS_DASK, end_of, is_in_program, loaded_images, prefer_large_pages, quiet_crashes,
        raise_descriptor_limit, take_programs_name, widen,
    },
    unix::{
        Descriptor, Interest, PARENT_ENDS, PIPE_BUF, Stream, block_write_signals, bytes_to_read,
        close_inherited, cpu_of_children, default_crash_handlers, exit_now, ignore_broken_pipes,
        inheritable_descriptors, is_readable, kill_group, kill_own_group, let_others_open,
        load_library, monotonic_nanoseconds, open_alone, set_nonblocking, take_stdin, wait,
        write_to,
    },
};
