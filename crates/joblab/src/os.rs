//! Everything that we know of the operating system: calls that the standard library does not have,
//! fenced in here, and small things around threads and processes.
//!
//! What only one system has is in `linux.rs` and `macos.rs`, under the same names where both have it;
//! what both share is in `unix.rs`.

mod cpus;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod linux;
mod lock;
#[cfg(target_os = "macos")]
mod macos;
mod names;
mod origin;
pub(crate) mod process_wide;
#[cfg(target_os = "linux")]
mod processes;
mod spin;
mod stack;
mod unix;

pub use self::cpus::cpu_count;
#[cfg(target_os = "linux")]
pub(crate) use self::descriptors::{MOST_FILES, Received, receive, send};
#[cfg(target_os = "linux")]
pub(crate) use self::linux::{
    LoadedImage, count_unloaded, current_folder, inheritable_descriptors, is_in_program,
    loaded_images, startup,
};
pub(crate) use self::lock::lock;
#[cfg(target_os = "macos")]
pub(crate) use self::macos::is_in_program;
pub(crate) use self::names::{MAIN_THREAD, PROCESS_NAME, process_name, thread_name};
pub(crate) use self::origin::Origin;
pub(crate) use self::process_wide::process_wide;
#[cfg(target_os = "linux")]
pub(crate) use self::processes::{end_of, longest_file};
pub(crate) use self::spin::spin;
pub(crate) use self::stack::stack_size;
#[cfg(target_os = "linux")]
pub(crate) use self::unix::{
    Interest, PIPE_BUF, Stream, block_write_signals, bytes_to_read, close_inherited,
    ignore_broken_pipes, is_readable, kill_group, kill_own_group, set_nonblocking, take_stdin,
    wait, write_to,
};
pub(crate) use self::unix::{default_crash_handlers, exit_now, load_library};
