//! Cells that fail, and what the run says of them.

use std::fs;

use crate::notebook::{Cell, assert_fails, assert_passes, notebook, plain};

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_panic_fails_the_run() {
    // The half line hides evcxr's own note of the panic, and must not hide it from the runner.
    let cells =
        plain(&["let a = 1;", "println!(\"before\");\nprint!(\"half\");\npanic!(\"why\");"]);
    let report =
        ["    | println!(\"before\");\n", "    the cell panicked\n", "    before\n", "    why\n"];
    assert_fails(&[], &notebook("panics", &cells), "cell 2 of 2", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn an_error_from_a_question_mark_fails_the_run() {
    let cells = plain(&["let n: u32 = \"x\".parse()?;", "println!(\"not reached\");"]);
    let report = [
        "    | let n: u32 = \"x\".parse()?;\n",
        "    the cell ended in an error\n",
        "    invalid digit found in string\n",
    ];
    assert_fails(&[], &notebook("question-mark", &cells), "cell 1 of 2", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_does_not_compile_fails_the_run() {
    let cells = plain(&["let n: u32 = \"x\";"]);
    let report =
        ["    | let n: u32 = \"x\";\n", "    the cell failed\n", "expected `u32`, found `&str`"];
    assert_fails(&[], &notebook("does-not-compile", &cells), "cell 1 of 1", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_exits_fails_the_run_and_its_last_words_are_kept() {
    let cells = plain(&["println!(\"last words\");\nstd::process::exit(3);"]);
    let report = ["    last words\n", "Subprocess terminated with status: exit status: 3\n"];
    assert_fails(&[], &notebook("exits", &cells), "cell 1 of 1", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_failure_after_a_restart_of_the_runtime_is_seen() {
    let cells = [
        Cell("std::process::exit(3);", true),
        Cell("println!(\"a new runtime\");", false),
        Cell(":restart", false),
        Cell("panic!(\"why\");", false),
    ];
    assert_fails(&[], &notebook("restarts", &cells), "cell 4 of 4", &["    why\n"]);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_is_to_fail_must_fail() {
    let mut cells = vec![
        Cell("panic!(\"a lesson\");", true),
        Cell("let n: u32 = \"x\".parse()?;", true),
        Cell("let n: u32 = \"x\";", true),
        Cell("println!(\"fine\");", false),
    ];
    let path = notebook("lessons", &cells);
    assert_passes(&["--twice"], &path);
    cells[3].1 = true;
    let report = ["    the cell has to fail (tag raises-exception) but passed\n"];
    assert_fails(&[], &notebook("lessons", &cells), "cell 4 of 4", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn errors_that_the_cell_handles_are_none() {
    let cells = plain(&[
        "let caught = std::panic::catch_unwind(|| panic!(\"caught\")).is_err();",
        "fn parse(s: &str) -> Result<u32, std::num::ParseIntError> { Ok(s.parse::<u32>()?) }",
        "println!(\"{caught} {}\", parse(\"x\").is_err());\neprintln!(\"panicked at\");",
    ]);
    assert_passes(&[], &notebook("handles", &cells));
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_fails_the_second_time_fails_only_with_twice() {
    let cells = plain(&[
        "struct Name(u8);",
        "impl Clone for Name { fn clone(&self) -> Self { Name(self.0) } }",
    ]);
    let path = notebook("second-time", &cells);
    assert_passes(&[], &path);
    let report = ["conflicting implementations of trait `Clone`"];
    assert_fails(&["--twice"], &path, "cell 2 of 2, second run", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_takes_too_long_fails_the_run() {
    let cells = plain(&["loop { std::thread::park(); }"]);
    let report = ["    the cell took longer than 3 s\n"];
    assert_fails(&["--timeout", "3"], &notebook("too-long", &cells), "cell 1 of 1", &report);
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_file_that_is_no_notebook_fails_the_run() {
    let path = notebook("no-notebook", &[]);
    fs::write(&path, "{").unwrap();
    assert_fails(&[], &path, "cannot be read", &["    Notebook does not appear to be JSON"]);
    fs::remove_file(&path).unwrap();
    assert_fails(&[], &path, "cannot be read", &["    No such file or directory\n"]);
}
