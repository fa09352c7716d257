//! What runs in a program before `main`: its initializers, in the order in which the linker has put
//! them, and a note by which one of ours is found in the program.

use std::ffi::{c_char, c_int};

use super::system;

/// What the loader calls. glibc and dyld give the program's arguments and environment, musl nothing.
pub(crate) type Initializer = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Has a function run before `main`: in a program as it starts, in a library as it is loaded. The linker
/// keeps a `#[used]` static of this section, and the loader calls each function that one of them names
/// (System V ABI, "Initialization and Termination Functions"; dyld(1)). `$has_it` tells whether
/// the program does so, and not only a library of it.
macro_rules! at_start {
    ($function:ident, $has_it:ident) => {
        #[used]
        #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
        #[cfg_attr(
            target_os = "macos",
            unsafe(link_section = "__DATA,__mod_init_func,mod_init_funcs")
        )]
        static AT_START: $crate::os::startup::Initializer = $function;

        #[used]
        #[cfg_attr(target_os = "linux", unsafe(link_section = ".note.joblab"))]
        #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__joblab"))]
        static NOTE: $crate::os::startup::Note =
            $crate::os::startup::Note::new(env!("CARGO_PKG_VERSION"));

        fn $has_it() -> bool {
            $crate::os::startup::program_has(&NOTE)
        }
    };
}
pub(crate) use at_start;

/// The initializers of the program that the loader would call after this one. None where this one is a
/// library's.
pub(crate) fn initializers_behind(initializer: Initializer) -> Option<Vec<Initializer>> {
    let all = system::initializers_with(initializer)?;
    let place = all.iter().position(|&other| other as usize == initializer as usize)?;
    Some(all[place + 1..].to_vec())
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
    let has = |notes: &[u8]| notes.windows(wanted.len()).any(|window| window == wanted);
    system::any_notes_of_program(&has)
}
