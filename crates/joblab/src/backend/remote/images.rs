//! Images: the program and the libraries that a process has loaded, and how an address in one of
//! them is told to another process that has it loaded elsewhere.
//!
//! A notebook's cell is a library. A function of it has another address in each process, but the
//! same offset from the start of the library. `/proc/self/maps` (proc(5)) says which file an
//! address belongs to, by device and inode, so that a file that was rebuilt or deleted since is
//! never taken for the one that is running.

use std::fs;

/// A file that is mapped into this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Where it is mapped: the address of its first byte.
    base: usize,
    /// Device and inode, as `/proc/self/maps` writes them.
    pub(crate) identity: String,
    pub(crate) path: String,
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
        let maps = read_maps()?;
        let mapping = parse(&maps)
            .find(|mapping| (mapping.start..mapping.end).contains(&address))
            .ok_or("the function's code belongs to no file")?;
        let image =
            image_of(&maps, mapping.identity).ok_or("the function's code belongs to no file")?;
        if image.path.ends_with(" (deleted)") && !image.is_program {
            return Err(format!(
                "the library {} was deleted or built anew since it was loaded; run the cell that \
                 defines the function again",
                image.path
            ));
        }
        let offset = (address - image.base) as u64;
        Ok((image, offset))
    }

    /// The image with this identity in this process, where it is loaded.
    pub(crate) fn of_identity(identity: &str) -> Option<Image> {
        image_of(&read_maps().ok()?, identity)
    }

    /// The image of this file in this process, where it is loaded. The path has no links in it.
    pub(crate) fn of_path(path: &str) -> Option<Image> {
        let maps = read_maps().ok()?;
        let mapping = parse(&maps).find(|mapping| mapping.path == path)?;
        image_of(&maps, mapping.identity)
    }

    /// The program that this process runs.
    pub(crate) fn program() -> Option<Image> {
        let maps = read_maps().ok()?;
        let mapping = parse(&maps).find(|mapping| is_program(mapping))?;
        image_of(&maps, mapping.identity)
    }

    /// The address of an offset in this process.
    pub(crate) fn address(&self, offset: u64) -> usize {
        self.base.wrapping_add(offset as usize)
    }
}

fn read_maps() -> Result<String, String> {
    fs::read_to_string("/proc/self/maps")
        .map_err(|error| format!("/proc/self/maps could not be read: {error}"))
}

/// A line of `/proc/self/maps` that belongs to a file.
struct Mapping<'a> {
    start: usize,
    end: usize,
    identity: &'a str,
    path: &'a str,
}

fn parse(maps: &str) -> impl Iterator<Item = Mapping<'_>> {
    maps.lines().filter_map(|line| {
        // start-end permissions offset device inode path, where the path may hold spaces.
        let (range, rest) = line.split_once(' ')?;
        let (_permissions, rest) = rest.split_once(' ')?;
        let (_offset, rest) = rest.split_once(' ')?;
        let device = rest.split(' ').next()?;
        let inode = rest[device.len()..].trim_start().split(' ').next()?;
        let identity = &rest[..device.len() + 1 + inode.len()];
        let (start, end) = range.split_once('-')?;
        let path = rest[identity.len()..].trim_start();
        path.starts_with('/').then_some(Mapping {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            identity,
            path,
        })
    })
}

/// The image that starts where the first mapping of the file does.
fn image_of(maps: &str, identity: &str) -> Option<Image> {
    let first = parse(maps).find(|mapping| mapping.identity == identity)?;
    Some(Image {
        base: first.start,
        identity: identity.to_owned(),
        path: first.path.to_owned(),
        is_program: is_program(&first),
    })
}

fn is_program(mapping: &Mapping<'_>) -> bool {
    fs::read_link("/proc/self/exe").is_ok_and(|program| program.as_os_str() == mapping.path)
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
    }

    #[test]
    fn a_function_of_a_library_is_found_there() {
        let address = libc::atoi as *const () as usize;
        let (image, _) = Image::of_address(address).unwrap();
        assert!(image.path.contains("libc") && !image.is_program, "{image:?}");
    }

    #[test]
    fn an_address_in_no_file_is_refused() {
        let on_the_heap = Box::new(0_u64);
        let error = Image::of_address(&raw const *on_the_heap as usize).unwrap_err();
        assert!(error.contains("no file"), "{error}");
    }

    #[test]
    fn lines_with_spaces_and_deleted_files_are_read() {
        let maps = "7f00-7f10 r-xp 00001000 fe:00 42                  /a b/lib.so (deleted)\n\
                    7f20-7f30 rw-p 00000000 00:00 0 [heap]\n";
        let mappings: Vec<_> = parse(maps).collect();
        assert_eq!(mappings.len(), 1);
        assert_eq!(mappings[0].path, "/a b/lib.so (deleted)");
        assert_eq!((mappings[0].start, mappings[0].end), (0x7f00, 0x7f10));
        assert_eq!(mappings[0].identity, "fe:00 42");
    }
}
