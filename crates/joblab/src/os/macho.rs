//! What stands at the beginning of a loaded image of macOS (Mach-O File Format Reference).

use std::ops::Range;

const HEADER: usize = 32;
const LC_SEGMENT_64: u32 = 0x19;
const LC_UUID: u32 = 0x1b;
const SEGMENT: usize = 72;
const SECTION: usize = 80;

/// Functions to be called before `main`, by their addresses.
pub(super) const INITIALIZERS: u32 = 0x9;
/// The same, by their distances from the header, as 32-bit numbers.
pub(super) const INITIALIZER_OFFSETS: u32 = 0x16;

/// The header and the commands behind it: so many bytes as [`length`] says.
#[derive(Clone, Copy)]
pub(super) struct MachO<'a>(pub(super) &'a [u8]);

/// A part of a segment; addresses are those in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    pub(super) addresses: Range<usize>,
}

/// How long the header is, with its commands, by its first 32 bytes.
pub(super) fn length(header: &[u8; HEADER]) -> usize {
    HEADER + number(header, 20).unwrap_or_default() as usize
}

impl<'a> MachO<'a> {
    /// The commands of a kind, each with its own head of eight bytes.
    pub(super) fn commands(self, kind: u32) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0.get(HEADER..).unwrap_or_default();
        let all = std::iter::from_fn(move || {
            let length = number(rest, 4)? as usize;
            let (command, behind) = rest.split_at_checked(length.max(8))?;
            rest = behind;
            Some(command)
        });
        all.filter(move |command| number(command, 0) == Some(kind))
    }

    /// Where the parts of the image are that are loaded from its file, but for the last one, which has
    /// only what the loader reads.
    pub(super) fn segments(self) -> impl Iterator<Item = Range<usize>> {
        let is_code_or_data = |command: &&[u8]| {
            long(command, 48).is_some_and(|bytes| bytes > 0)
                && name(command, 8) != Some(b"__LINKEDIT")
        };
        self.commands(LC_SEGMENT_64).filter(is_code_or_data).filter_map(|command| {
            let start = long(command, 24)?;
            Some(start..start.checked_add(long(command, 32)?)?)
        })
    }

    pub(super) fn sections(self) -> impl Iterator<Item = Section<'a>> {
        self.commands(LC_SEGMENT_64).flat_map(|command| {
            let sections = command.get(SEGMENT..).unwrap_or_default().chunks_exact(SECTION);
            sections.filter_map(|section| {
                let start = long(section, 32)?;
                Some(Section {
                    name: name(section, 0)?,
                    kind: number(section, 64)? & 0xff,
                    addresses: start..start.checked_add(long(section, 40)?)?,
                })
            })
        })
    }

    /// The number that the linker has given the image, made of what is in it.
    pub(super) fn uuid(self) -> Option<&'a [u8]> {
        self.commands(LC_UUID).next()?.get(8..24)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

/// A name of at most 16 bytes.
fn name(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at..at + 16)?.split(|&byte| byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(name: &str) -> Vec<u8> {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    }

    fn command(kind: u32, body: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(8 + body.len() as u32).to_le_bytes(), body].concat()
    }

    fn longs(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// A segment of these addresses that has a section at its beginning.
    fn segment(
        name: &str,
        [start, length, in_file]: [u64; 3],
        section: &str,
        kind: u32,
    ) -> Vec<u8> {
        let mut body = [padded(name), longs(&[start, length, 0, in_file, 3, 1])].concat();
        body.extend([padded(section), padded(name), longs(&[start, 16, 0, 0])].concat());
        body.extend(kind.to_le_bytes());
        body.extend([0; 12]);
        command(LC_SEGMENT_64, &body)
    }

    fn image() -> Vec<u8> {
        let commands = [
            segment("__PAGEZERO", [0, 4096, 0], "", 0),
            segment("__TEXT", [4096, 8192, 8192], "__init_offsets", INITIALIZER_OFFSETS),
            segment("__DATA", [12288, 4096, 16], "__mod_init_func", 0x1000_0000 | INITIALIZERS),
            command(LC_UUID, &[7; 16]),
            segment("__LINKEDIT", [16384, 4096, 4096], "", 0),
        ];
        let commands = commands.concat();
        let mut header = vec![0; HEADER];
        header[20..24].copy_from_slice(&(commands.len() as u32).to_le_bytes());
        [header, commands].concat()
    }

    #[test]
    fn an_image_is_read() {
        let bytes = image();
        assert_eq!(length(bytes.first_chunk().unwrap()), bytes.len());
        let image = MachO(&bytes);
        assert_eq!(image.uuid(), Some([7; 16].as_slice()));
        assert_eq!(image.segments().collect::<Vec<_>>(), [4096..12288, 12288..16384]);
        let sections: Vec<_> =
            image.sections().map(|section| (section.name, section.kind)).collect();
        assert_eq!(sections[1], (b"__init_offsets".as_slice(), INITIALIZER_OFFSETS));
        assert_eq!(sections[2], (b"__mod_init_func".as_slice(), INITIALIZERS));
        assert_eq!(image.sections().nth(2).unwrap().addresses, 12288..12304);
    }

    #[test]
    fn half_an_image_is_read_as_far_as_it_goes() {
        let bytes = image();
        for end in 0..bytes.len() {
            let image = MachO(&bytes[..end]);
            assert!(image.segments().count() <= 2 && image.sections().count() <= 5);
        }
    }
}
