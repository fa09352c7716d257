//! What macOS has, made of what Linux has: for test builds that run `portable.rs`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::{ptr, slice};

use crate::os::LoadedImage;

/// A number made of an image's contents, as far as those are only read: of its headers and its symbols.
pub(crate) fn stamp_of(image: &LoadedImage) -> Option<Vec<u8>> {
    let first = image.segments.first()?;
    // SAFETY: the image's first segment is loaded, and nobody writes to it.
    let bytes = unsafe {
        slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(first.start), first.len())
    };
    // FNV-1a.
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Some(format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)).into_bytes())
}

/// The current path of an open folder.
pub(crate) fn folder_of(folder: &OwnedFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}
