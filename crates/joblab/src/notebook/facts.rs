//! How evcxr's kernel and its runtime, the process that runs cells, talk to each other.

use std::ffi::OsStr;

use crate::os::{self, ParentWatch};

/// The variable that evcxr's kernel sets for its runtime.
pub(crate) const RUNTIME: &str = "EVCXR_IS_RUNTIME";

/// Whether this process runs a notebook's cells, or is a worker of one that does: evcxr's kernel sets
/// the variable. All children inherit it, though, so that a program which a cell has started has it
/// too; but there this code is in the program, and in a notebook it is in a cell's library.
pub(crate) fn is_evcxr() -> bool {
    std::env::var_os(RUNTIME).is_some() && !os::is_in_program(is_evcxr as *const () as usize)
}

/// What tells when the kernel of a notebook is gone: it has started the runtime, which gets its orders on
/// standard input.
pub(crate) fn kernel() -> Option<ParentWatch> {
    is_evcxr().then(os::parent_watch).flatten()
}

/// Ends the runtime of a kernel that is gone. The cell that runs would only find out at its end, and
/// nobody can see its outcome. Workers end with this process.
pub(crate) fn end_without_kernel() -> ! {
    os::exit_now(0)
}

/// What the kernel writes to its runtime for each cell: the library, by the first of its names that
/// the runtime can read, and its function that is to be called.
///
/// # Errors
/// Where there is no such name.
pub(crate) fn load_and_run(names: [&OsStr; 2], function: &str) -> Result<String, String> {
    let is_readable = |name: &&str| !name.is_empty() && !name.contains(char::is_whitespace);
    match names.iter().filter_map(|name| name.to_str()).find(is_readable) {
        Some(name) => Ok(format!("LOAD_AND_RUN {name} {function}\n")),
        None => Err(format!(
            "evcxr cannot load {}, whose path has spaces in it or is not UTF-8: set EVCXR_TMPDIR to \
             a folder whose path is plain",
            names[0].display()
        )),
    }
}

/// A text for standard output in which evcxr's words are only words.
///
/// The runtime talks to the kernel in lines on standard output that hold words like
/// `EVCXR_EXECUTION_COMPLETE`. A task must not be able to say them: they are made harmless by a
/// character of no width (U+2060).
pub(crate) fn without_control_words(text: &str) -> String {
    text.replace("EVCXR_", "EVCXR\u{2060}_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_words_lose_their_power_and_nothing_else_changes() {
        let text = "a\nEVCXR_EXECUTION_COMPLETE\nxEVCXR_BEGIN_CONTENT text/html\nEVCXR\n";
        let shown = without_control_words(text);
        assert!(!shown.contains("EVCXR_"), "{shown}");
        assert_eq!(shown.replace('\u{2060}', ""), text);
    }

    #[test]
    fn a_line_for_evcxr_has_a_name_that_it_can_read() {
        let line = |names: [&str; 2]| load_and_run(names.map(OsStr::new), "f");
        assert_eq!(line(["/a/b.so", "/c"]).unwrap(), "LOAD_AND_RUN /a/b.so f\n");
        assert_eq!(line(["/a b/b.so", "/ab/b.so"]).unwrap(), "LOAD_AND_RUN /ab/b.so f\n");
        let error = line(["/a b/b.so", ""]).unwrap_err();
        assert!(error.contains("/a b/b.so"), "{error}");
    }
}
