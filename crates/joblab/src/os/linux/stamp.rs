//! What macOS has, made of what Linux has: for test builds that run `portable.rs`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::{ptr, slice};

use crate::os::image::LoadedImage;

/// A number made of an image's contents, as far as those are only read: of its symbols and its code.
pub(crate) fn stamp_of(image: &LoadedImage) -> Option<Vec<u8>> {
    // FNV-1a, by words.
    let mix = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for segment in image.segments.iter().take(2) {
        let (start, words) = (segment.start.next_multiple_of(8), segment.len() / 8);
        // SAFETY: the image's first segments are loaded, and nobody writes to them. One word less than there
        // are, from the first whole one on, lies in them.
        let words = unsafe {
            slice::from_raw_parts(
                ptr::with_exposed_provenance::<u64>(start),
                words.saturating_sub(1),
            )
        };
        hash = words.iter().fold(hash, mix);
    }
    (!image.segments.is_empty()).then(|| format!("{hash:016x}").into_bytes())
}

/// The current path of an open folder.
pub(crate) fn folder_of(folder: &OwnedFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}
