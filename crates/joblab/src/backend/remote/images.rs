//! Images: the program and the libraries that a process has loaded, and how an address in one of
//! them is told to another process that has it loaded elsewhere.
//!
//! A notebook's cell is a library. A function of it has another address in each process, but the
//! same offset from where the loader has put the library. The loader says where that is;
//! `/proc/self/maps` (proc(5)) says which file it is, by device and inode, so that a file that was
//! rebuilt or deleted since is never taken for the one that is running.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::os::{LoadedImage, loaded_images};

/// A file that is loaded into this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Where the loader has put it: what an address in the file is counted from.
    base: usize,
    /// Device and inode, as `/proc/self/maps` writes them.
    pub(crate) identity: Vec<u8>,
    pub(crate) path: OsString,
    /// The name by which it was loaded: another one where there are links.
    pub(crate) name: OsString,
    /// Whether the file is the program, and not a library.
    pub(crate) is_program: bool,
}

/// An address as another process can find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageAddress {
    /// The image's number in the pool's list.
    pub(crate) image: u64,
    pub(crate) offset: u64,
}

impl Image {
    /// The image that an address of this process lies in, and the offset there.
    ///
    /// # Errors
    /// Says why other processes cannot load it.
    pub(crate) fn of_address(address: usize) -> Result<(Image, u64), String> {
        let loaded = loaded_images().into_iter().find(|image| image.contains(address));
        let loaded = loaded.ok_or("the function's code belongs to no file")?;
        let maps = read_maps()?;
        let image = image_of(&parse(&maps), loaded);
        let image = image.ok_or("the function's code belongs to no file")?;
        if image.is_deleted() && !image.is_program {
            return Err(format!(
                "the library {} was deleted or built anew since it was loaded; run the cell that \
                 defines the function again",
                image.path.display()
            ));
        }
        let offset = address.wrapping_sub(image.base) as u64;
        Ok((image, offset))
    }

    /// The images that are loaded into this process.
    ///
    /// # Errors
    /// Says why it is not known which files they are.
    pub(crate) fn all() -> Result<impl Iterator<Item = Image>, String> {
        let maps = read_maps()?;
        let images = loaded_images();
        let mappings = parse(&maps);
        let images: Vec<_> =
            images.into_iter().filter_map(|loaded| image_of(&mappings, loaded)).collect();
        Ok(images.into_iter())
    }

    /// The image with this identity in this process, where it is loaded.
    pub(crate) fn of_identity(identity: &[u8]) -> Option<Image> {
        Image::all().ok()?.find(|image| image.identity == identity)
    }

    /// The image of this file in this process, where it is loaded. The path has no links in it.
    pub(crate) fn of_path(path: &OsStr) -> Option<Image> {
        Image::all().ok()?.find(|image| image.path == path)
    }

    /// The program that this process runs.
    ///
    /// # Errors
    /// Says why it is not known.
    pub(crate) fn program() -> Result<Image, String> {
        let program = Image::all()?.find(|image| image.is_program);
        program.ok_or_else(|| "/proc/self/maps does not say which program this is".to_owned())
    }

    /// The address of an offset in this process.
    pub(crate) fn address(&self, offset: u64) -> usize {
        self.base.wrapping_add(offset as usize)
    }

    /// Whether this is what the loader speaks of.
    pub(crate) fn is(&self, loaded: &LoadedImage) -> bool {
        self.base == loaded.base && self.name.as_bytes() == loaded.name.to_bytes()
    }

    /// Whether its file is no longer found by its path: the system says so behind that.
    fn is_deleted(&self) -> bool {
        self.path.as_bytes().ends_with(b" (deleted)") && !Path::new(&self.path).exists()
    }
}

fn read_maps() -> Result<Vec<u8>, String> {
    fs::read("/proc/self/maps")
        .map_err(|error| format!("/proc/self/maps could not be read: {error}"))
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

    fn some_function() {}

    #[test]
    fn a_function_of_the_program_is_found_again() {
        let address = some_function as *const () as usize;
        let (image, offset) = Image::of_address(address).unwrap();
        assert!(image.is_program);
        assert_eq!(image.address(offset), address);
        assert_eq!(Image::program().unwrap(), image);
        assert_eq!(Image::of_identity(&image.identity).unwrap(), image);
        assert_eq!(Path::new(&image.path), fs::read_link("/proc/self/exe").unwrap());
    }

    #[test]
    fn a_function_of_a_library_is_found_there() {
        let address = libc::atoi as *const () as usize;
        let (image, offset) = Image::of_address(address).unwrap();
        assert!(image.path.display().to_string().contains("libc"), "{image:?}");
        assert!(!image.is_program);
        assert_eq!(Image::of_path(&image.path).unwrap().address(offset), address);
    }

    #[test]
    fn an_address_in_no_file_is_refused() {
        let on_the_heap = Box::new(0_u64);
        let error = Image::of_address(&raw const *on_the_heap as usize).unwrap_err();
        assert!(error.contains("no file"), "{error}");
    }

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
