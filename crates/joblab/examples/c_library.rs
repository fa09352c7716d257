//! Calls a C library that crashes on bad input: in a worker process a crash is an error of the one task, a new
//! worker takes the next, and the program goes on.
//!
//! `cargo run --release --package joblab --example c_library`
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::hint::black_box;
use std::ptr;

use joblab::{Backend, Error, Parallel, delayed};

unsafe extern "C" {
    fn strlen(text: *const c_char) -> usize;
    fn abort() -> !;
}

/// The length of a text, by the C library, which trusts its callers.
fn length(text: Option<String>) -> Result<usize, String> {
    let text = text.map(CString::new).transpose().map_err(|error| error.to_string())?;
    let pointer = text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    if text.as_ref().is_some_and(|text| text.is_empty()) {
        // As a failed `assert` does in C.
        // SAFETY: it may be called at any time.
        unsafe { abort() }
    }
    // SAFETY: none where the pointer is null: there it crashes, which this example is about.
    Ok(unsafe { strlen(black_box(pointer)) })
}

fn main() -> Result<(), Error> {
    let texts = [Some("threads"), None, Some(""), Some("nul \0 inside"), Some("processes")];
    let tasks = texts.map(|text| delayed(length, text.map(str::to_owned)));
    let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
    // `run` would end with the first failure; here each task has its own outcome.
    for (text, outcome) in texts.iter().zip(parallel.iter(tasks)?) {
        match outcome {
            Ok(Ok(length)) => println!("{text:?} has {length} bytes"),
            Ok(Err(refused)) => println!("{text:?} is refused: {refused}"),
            Err(error) if error.is_worker_death() => println!("{text:?} crashes: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
