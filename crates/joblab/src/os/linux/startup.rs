//! What runs in a program before `main`: its initializers, in the order in which the linker has put
//! them, and a note by which one of ours is found in the program (elf(5)).
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::ops::Range;
use std::{fs, mem, ptr, slice};

use super::{first_image, headers, segments};

/// What the loader calls. glibc gives the program's arguments and environment, musl nothing.
pub(crate) type Initializer = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Dynamic entries and section headers have this form where addresses have 64 bits. (Where they have 32,
/// initializers stay in the order of the linker.)
const WORD: usize = mem::size_of::<usize>();
const DT_INIT_ARRAY: usize = 25;
const DT_INIT_ARRAYSZ: usize = 27;
const SHT_INIT_ARRAY: u32 = 14;

/// The initializers of the program that the loader would call after the one in the given place.
/// None where that is in a library.
pub(crate) fn initializers_behind(place: *const Initializer) -> Option<&'static [Initializer]> {
    let place = place.addr();
    if !super::is_in_program(place) {
        return None;
    }
    let mut array = None;
    first_image(&mut |info| array = initializers(info));
    // Without a dynamic section the loader finds them by the linker's symbols.
    let array = array.or_else(initializers_in_file).filter(|array| array.contains(&place));
    let behind = array.map_or(0..0, |array| place + WORD..array.end);
    // SAFETY: the loader calls the functions in this array, which the program keeps, and each has
    // this type there.
    Some(unsafe {
        let first = ptr::with_exposed_provenance(behind.start);
        if behind.is_empty() { &[] } else { slice::from_raw_parts(first, behind.len() / WORD) }
    })
}

/// Where the dynamic section says that an image's initializers are.
fn initializers(info: &libc::dl_phdr_info) -> Option<Range<usize>> {
    let header = headers(info).iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
    let start = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
    let end = start + header.p_memsz as usize;
    segments(info).find(|segment| segment.contains(&start) && end <= segment.end)?;
    // SAFETY: this part of the image is loaded: it lies in a segment. It consists of pairs of words.
    let pairs = unsafe {
        let first = ptr::with_exposed_provenance::<[usize; 2]>(start);
        slice::from_raw_parts(first, (end - start) / (2 * WORD))
    };
    let value = |tag| Some(pairs.iter().find(|pair| pair[0] == tag)?[1]);
    let first = (info.dlpi_addr as usize).wrapping_add(value(DT_INIT_ARRAY)?);
    Some(first..first + value(DT_INIT_ARRAYSZ)?)
}

/// Where the program's file says so: for programs that are loaded where their file says, and have no
/// dynamic section.
fn initializers_in_file() -> Option<Range<usize>> {
    if WORD != 8 {
        return None;
    }
    let file = fs::read("/proc/self/exe").ok()?;
    let number = |at: usize, bytes: usize| {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(file.get(at..at.checked_add(bytes)?)?);
        Some(usize::from_ne_bytes(number))
    };
    let (table, size, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
    let sections = (0..count).map(|section| table + section * size);
    let mut arrays = sections.filter(|at| number(at + 4, 4) == Some(SHT_INIT_ARRAY as usize));
    let array = arrays.next()?;
    let first = number(array + 0x10, 8)?;
    Some(first..first + number(array + 0x20, 8)?)
}

/// A note in a program, which the linker keeps with the program's code.
#[repr(C, align(4))]
pub(crate) struct Note {
    name_length: u32,
    text_length: u32,
    kind: u32,
    name: [u8; NAME.len()],
    text: [u8; TEXT],
}

const NAME: &[u8; 8] = b"joblab\0\0";
const TEXT: usize = 32;

impl Note {
    /// A note of a text of at most 32 bytes.
    pub(crate) const fn new(text: &str) -> Note {
        let mut filled = [0; TEXT];
        let mut at = 0;
        while at < text.len() {
            filled[at] = text.as_bytes()[at];
            at += 1;
        }
        Note { name_length: 8, text_length: TEXT as u32, kind: 1, name: *NAME, text: filled }
    }
}

/// Whether the program, and not only a library of it, has this note.
pub(crate) fn program_has(note: &Note) -> bool {
    let wanted = [&NAME[..], &note.text].concat();
    let mut is_found = false;
    first_image(&mut |info| {
        let base = info.dlpi_addr as usize;
        is_found = headers(info).iter().filter(|it| it.p_type == libc::PT_NOTE).any(|header| {
            let start = base.wrapping_add(header.p_vaddr as usize);
            let end = start + header.p_memsz as usize;
            let is_loaded =
                segments(info).any(|segment| segment.contains(&start) && end <= segment.end);
            // SAFETY: this part of the image is loaded: it lies in a segment.
            is_loaded
                && unsafe {
                    slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(start), end - start)
                }
                .windows(wanted.len())
                .any(|window| window == wanted)
        });
    });
    is_found
}

/// Lets the process have the name of its file for ps(1), as it would where it was started by that.
pub(crate) fn take_programs_name() {
    let Ok(program) = fs::read_link("/proc/self/exe") else {
        return;
    };
    let name = program.file_name().unwrap_or_default().as_encoded_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    if let Ok(name) = std::ffi::CString::new(name) {
        // SAFETY: the name ends in a nul; the system takes its first 15 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}
