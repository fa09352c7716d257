//! Which files are loaded, as `/proc/self/maps` (proc(5)) has it: by device and inode, so that a file that
//! was rebuilt or deleted since is another one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::os::{Image, LoadedImage};

/// The files of these images, but for those that have none.
///
/// # Errors
/// Says why it is not known which files they are.
pub(crate) fn files_of(images: Vec<LoadedImage>) -> Result<Vec<Image>, String> {
    let maps = fs::read("/proc/self/maps")
        .map_err(|error| format!("/proc/self/maps could not be read: {error}"))?;
    let mappings = parse(&maps);
    Ok(images.into_iter().filter_map(|loaded| image_of(&mappings, loaded)).collect())
}

/// A line of `/proc/self/maps` that belongs to a file.
struct Mapping<'a> {
    range: Range<usize>,
    identity: &'a [u8],
    path: &'a [u8],
}

/// The lines that belong to files, by ascending addresses.
fn parse(maps: &[u8]) -> Vec<Mapping<'_>> {
    maps.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

/// Reads: start-end permissions offset device inode path. The path is any bytes.
fn parse_line(line: &[u8]) -> Option<Mapping<'_>> {
    let (range, rest) = split_at_space(line)?;
    let (_permissions, rest) = split_at_space(rest)?;
    let (_offset, rest) = split_at_space(rest)?;
    let (device, _) = split_at_space(rest)?;
    let (inode, _) = split_at_space(&rest[device.len() + 1..])?;
    let (identity, path) = rest.split_at(device.len() + 1 + inode.len());
    let path = path.trim_ascii_start();
    let (start, end) = str::from_utf8(range).ok()?.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    path.starts_with(b"/").then_some(Mapping { range, identity, path })
}

fn split_at_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Which file an image is: that of its first part that has one. (There are programs that move their
/// code to memory of large pages, which belongs to no file.)
fn image_of(mappings: &[Mapping<'_>], loaded: LoadedImage) -> Option<Image> {
    let is_of_it = |mapping: &&Mapping<'_>| {
        let Range { start, end } = mapping.range;
        loaded.segments.iter().any(|segment| start < segment.end && segment.start < end)
    };
    let first = mappings.iter().find(is_of_it)?;
    Some(Image {
        base: loaded.base,
        identity: first.identity.to_owned(),
        path: OsString::from_vec(unescaped(first.path)),
        name: OsString::from_vec(loaded.name.into_bytes()),
        is_program: loaded.is_program,
    })
}

/// A path in which the system has written each newline as `\012`. A file whose name is so already is
/// the one that is meant.
fn unescaped(path: &[u8]) -> Vec<u8> {
    const NEWLINE: &[u8] = b"\\012";
    if !path.windows(NEWLINE.len()).any(|window| window == NEWLINE)
        || Path::new(OsStr::from_bytes(path)).exists()
    {
        return path.to_owned();
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        rest = rest.strip_prefix(NEWLINE).unwrap_or(behind);
        plain.push(if rest.len() < behind.len() { b'\n' } else { first });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_any_bytes_and_deleted_files_are_read() {
        let maps = b"7f00-7f10 r-xp 00001000 fe:00 42                  /a b/lib.so (deleted)\n\
                     7f20-7f30 rw-p 00000000 00:00 0 [heap]\n\
                     7f40-7f50 rw-p 00000000 00:00 0 \n\
                     7f60-7f70 r--p 00000000 fe:00 43   /donn\xe9es\n";
        let mappings = parse(maps);
        assert_eq!(mappings.len(), 2);
        assert_eq!(mappings[0].path, b"/a b/lib.so (deleted)");
        assert_eq!(mappings[0].range, 0x7f00..0x7f10);
        assert_eq!(mappings[0].identity, b"fe:00 42");
        assert_eq!(mappings[1].path, b"/donn\xe9es");
    }

    #[test]
    fn newlines_in_paths_are_newlines_again() {
        assert_eq!(unescaped(b"/no/such\\012folder\\01\\012"), b"/no/such\nfolder\\01\n");
        assert_eq!(unescaped(b"/plain"), b"/plain");
    }
}
