//! Where the initializers and the notes of the program are (elf(5)).
#![allow(unsafe_code)]

use std::ops::Range;
use std::{fs, mem, ptr, slice};

use super::{first_image, headers, segments};
use crate::os::startup::Initializer;

/// Dynamic entries and section headers have this form where addresses have 64 bits. (Where they have 32,
/// initializers stay in the order of the linker.)
const WORD: usize = mem::size_of::<usize>();
const DT_INIT_ARRAY: usize = 25;
const DT_INIT_ARRAYSZ: usize = 27;
const SHT_INIT_ARRAY: u32 = 14;

/// The initializers of the program, where this one is among them.
pub(crate) fn initializers_with(initializer: Initializer) -> Option<&'static [Initializer]> {
    // Its code is where the program is, or it is none of the program's.
    if !super::is_in_program(initializer as usize) {
        return None;
    }
    let (mut array, mut all) = (None, Vec::new());
    first_image(&mut |info| {
        array = initializers(info);
        all = segments(info).collect();
    });
    // Without a dynamic section the loader finds them by the linker's symbols.
    let array = array.or_else(initializers_in_file)?;
    all.iter().find(|segment| segment.contains(&array.start) && array.end <= segment.end)?;
    // SAFETY: this part of the program is loaded, and is kept. The loader calls the functions in this
    // array, and each has this type there.
    Some(unsafe {
        let first = ptr::with_exposed_provenance(array.start);
        slice::from_raw_parts(first, array.len() / WORD)
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

/// Whether that is so for any of the program's notes.
pub(crate) fn any_notes_of_program(is_so: &dyn Fn(&[u8]) -> bool) -> bool {
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
                && is_so(unsafe {
                    slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(start), end - start)
                })
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
