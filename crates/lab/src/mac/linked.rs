//! What a linker for macOS has made, as far as the crate depends on it.

use std::fs;
use std::path::Path;

use crate::problem::{Problem, Result};

/// The crate's own reader of loaded images: a file begins in the same way.
#[path = "../../../joblab/src/os/macho.rs"]
mod macho;

use self::macho::{INITIALIZER_OFFSETS, INITIALIZERS, MachO};

const LC_SYMTAB: u32 = 0x2;
const LC_CODE_SIGNATURE: u32 = 0x1d;
/// Of a symbol's type: visible to others, but only when it was linked, and defined in a section.
const EXTERNAL: u8 = 0x01;
const PRIVATE: u8 = 0x10;
const IN_SECTION: u8 = 0x0e;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Program,
    Cell,
}

/// A file that was linked.
pub(super) struct Linked {
    name: String,
    bytes: Vec<u8>,
}

impl Linked {
    pub(super) fn read(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        match fs::read(file) {
            Ok(bytes) => Ok(Linked { name, bytes }),
            Err(error) => Err(Problem::new(format!("cannot read {name}: {error}"))),
        }
    }

    /// Makes sure that it is what the crate expects to find in a process, and says what it is.
    pub(super) fn check(&self, shape: Shape, target: &str) -> Result<String> {
        let wrong = |what: &str| Err(Problem::new(format!("{}: {what}", self.name)));
        let length = self.bytes.first_chunk().map_or(0, macho::length);
        let Some(commands) = self.bytes.get(..length).filter(|bytes| bytes[..4] == *MAGIC) else {
            return wrong("it is no image of macOS");
        };
        let image = MachO(commands);
        let kind = match shape {
            Shape::Program => 2,
            Shape::Cell => 6,
        };
        if commands[12] != kind {
            return wrong("it is neither a program nor a library");
        }
        let is_initializers = |kind| kind == INITIALIZERS || kind == INITIALIZER_OFFSETS;
        let initializers = image.sections().filter(|section| is_initializers(section.kind));
        let initializers: usize = initializers.map(|section| section.addresses.len()).sum();
        if initializers == 0 {
            return wrong("nothing runs before `main`: a worker would never become one");
        }
        let mut notes = image.sections().filter(|section| section.name == b"__joblab");
        if !notes.any(|section| section.addresses.len() >= 52) {
            return wrong("it has no note of joblab");
        }
        if image.uuid().is_none_or(|uuid| uuid == [0; 16]) {
            return wrong("it has no UUID, so that two builds of it cannot be told apart");
        }
        // Only machines with Apple's own processors ask for it.
        if target.starts_with("aarch64") && image.commands(LC_CODE_SIGNATURE).next().is_none() {
            return wrong("it has no signature: the system would not start it");
        }
        if image.segments().count() < 2 {
            return wrong("it has no code or no data");
        }
        let exported = self.exported(image).unwrap_or_default();
        if shape == Shape::Cell {
            let version = env!("CARGO_PKG_VERSION");
            let ours = ["worker", "gil", "turn", "attachments", "unloaded", "spawning"];
            let ours = ours.map(|name| format!("_joblab_{name}_{version}"));
            let mut wanted = ours.into_iter().chain(["_run_user_code_0".to_owned()]);
            if let Some(name) = wanted.find(|name| !exported.contains(name)) {
                return wrong(&format!("it does not export {name}, but {}", exported.join(" ")));
            }
        }
        Ok(format!("{}: linked, {} names exported", self.name, exported.len()))
    }

    /// The names of the symbols that others find.
    fn exported(&self, image: MachO<'_>) -> Option<Vec<String>> {
        let table = image.commands(LC_SYMTAB).next()?;
        let number = |bytes: &[u8], at: usize| {
            Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
        };
        let (symbols, count) = (number(table, 8)?, number(table, 12)?);
        let (strings, length) = (number(table, 16)?, number(table, 20)?);
        let strings = self.bytes.get(strings..strings + length)?;
        let symbols = self.bytes.get(symbols..symbols + 16 * count)?.chunks_exact(16);
        let is_exported = |symbol: &&[u8]| {
            symbol[4] & EXTERNAL != 0 && symbol[4] & PRIVATE == 0 && symbol[4] & 0x0e == IN_SECTION
        };
        symbols
            .filter(is_exported)
            .map(|symbol| {
                let name = strings.get(number(symbol, 0)?..)?.split(|&byte| byte == 0).next()?;
                Some(String::from_utf8_lossy(name).into_owned())
            })
            .collect()
    }
}

/// What a 64-bit image begins with.
const MAGIC: &[u8; 4] = &0xfeed_facf_u32.to_le_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_of_macos_is_refused() {
        let own = std::env::current_exe().unwrap();
        let linked =
            Linked { bytes: fs::read(own).unwrap()[..4096].to_vec(), name: "own".to_owned() };
        let problem = linked.check(Shape::Program, "aarch64-apple-darwin").unwrap_err();
        assert_eq!(problem.to_string(), "own: it is no image of macOS");
        // A header alone, of a library without any commands.
        let mut bytes = vec![0; 32];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[12] = 6;
        let linked = Linked { bytes, name: "empty".to_owned() };
        let problem = linked.check(Shape::Cell, "aarch64-apple-darwin").unwrap_err();
        assert!(problem.to_string().contains("nothing runs before `main`"), "{problem}");
        let problem = linked.check(Shape::Program, "aarch64-apple-darwin").unwrap_err();
        assert!(problem.to_string().contains("neither a program"), "{problem}");
    }
}
