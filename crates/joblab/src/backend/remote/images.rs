//! Images: the program and the libraries that a process has loaded, and how an address in one of
//! them is told to another process that has it loaded elsewhere.
//!
//! A notebook's cell is a library. A function of it has another address in each process, but the
//! same offset from where the loader has put the library. The loader says where that is; the system
//! says which file it is, so that a file that was rebuilt or deleted since is never taken for the one
//! that is running.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use crate::os::Image;
use crate::os::{LoadedImage, files_of, loaded_images};

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
        let image = files_of(vec![loaded])?.pop();
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
    pub(crate) fn all() -> Result<Vec<Image>, String> {
        files_of(loaded_images())
    }

    /// The image with this identity in this process, where it is loaded: of several, as copies of a
    /// library may be, that with this path.
    pub(crate) fn of_identity(identity: &[u8], path: &OsStr) -> Option<Image> {
        let mut images = Image::all().ok()?;
        images.retain(|image| image.identity == identity);
        let place = images.iter().position(|image| image.path == path).unwrap_or(0);
        (place < images.len()).then(|| images.swap_remove(place))
    }

    /// The image of this file in this process, where it is loaded. The path has no links in it.
    pub(crate) fn of_path(path: &OsStr) -> Option<Image> {
        Image::all().ok()?.into_iter().find(|image| image.path == path)
    }

    /// The program that this process runs.
    ///
    /// # Errors
    /// Says why it is not known.
    pub(crate) fn program() -> Result<Image, String> {
        let program = Image::all()?.into_iter().find(|image| image.is_program);
        program.ok_or_else(|| "the system does not say which program this is".to_owned())
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
        assert_eq!(Image::of_identity(&image.identity, &image.path).unwrap(), image);
        let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap();
        assert_eq!(Path::new(&image.path), program);
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
}
