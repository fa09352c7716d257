//! What Linux and macOS have under the same names.

#[cfg(target_os = "linux")]
pub(crate) use super::linux::startup::{
    any_notes_of_program, initializers_with, take_programs_name,
};
#[cfg(target_os = "linux")]
pub(crate) use super::linux::{
    CLOCK, HAS_DASK, OPEN_FILES, end_of, is_first_thread, is_in_program, loaded_images,
    prefer_large_pages, quiet_crashes, raise_descriptor_limit, widen,
};
#[cfg(target_os = "macos")]
pub(crate) use super::macos::{
    CLOCK, HAS_DASK, OPEN_FILES, any_notes_of_program, end_of, initializers_with, is_first_thread,
    is_in_program, loaded_images, prefer_large_pages, quiet_crashes, raise_descriptor_limit,
    take_programs_name, widen,
};
