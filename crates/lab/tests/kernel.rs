//! `cargo lab run` in the real kernel, mostly on notebooks made to fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A code cell: its source, and whether it is to fail.
struct Cell<'a>(&'a str, bool);

impl Cell<'_> {
    fn json(&self, number: usize) -> String {
        let Self(source, to_fail) = self;
        let tags = if *to_fail {
            r#""tags": ["raises-exception"]"#
        } else {
            ""
        };
        // Rust's escapes in these sources are JSON's.
        format!(
            r#"{{"cell_type": "code", "id": "cell-{number}", "execution_count": null,
                 "metadata": {{{tags}}}, "outputs": [], "source": {source:?}}}"#
        )
    }
}

/// Writes a notebook into a folder of its own.
fn notebook(name: &str, cells: &[Cell]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let cells: Vec<_> = cells
        .iter()
        .enumerate()
        .map(|(i, cell)| cell.json(i))
        .collect();
    let text = format!(
        r#"{{"cells": [{}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}"#,
        cells.join(",")
    );
    let path = folder.join(format!("{name}.ipynb"));
    fs::write(&path, text).unwrap();
    path
}

fn plain(sources: &[&'static str]) -> Vec<Cell<'static>> {
    sources.iter().map(|source| Cell(source, false)).collect()
}

fn lab_run(flags: &[&str], notebook: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.arg("run").args(flags).arg(notebook);
    command
}

/// Runs a notebook; returns the exit status and the report.
fn run(flags: &[&str], notebook: &Path) -> (Option<i32>, String) {
    let output = lab_run(flags, notebook).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// Asserts that the report names the cell, shows its source, and says why.
#[track_caller]
fn assert_fails(flags: &[&str], notebook: &Path, place: &str, report: &[&str]) {
    let (status, stdout) = run(flags, notebook);
    assert_eq!(status, Some(1), "{stdout}");
    let name = notebook.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        stdout.lines().next(),
        Some(format!("FAILED {name}  {place}").as_str())
    );
    for part in report {
        assert!(stdout.contains(part), "no {part:?} in:\n{stdout}");
    }
    assert_eq!(stdout.lines().last(), Some("0 passed, 1 failed"));
}

#[track_caller]
fn assert_passes(flags: &[&str], notebook: &Path) {
    let (status, stdout) = run(flags, notebook);
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.starts_with("ok     "), "{stdout}");
    assert_eq!(stdout.lines().last(), Some("1 passed, 0 failed"));
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_panic_fails_the_run() {
    // The half line hides evcxr's own note of the panic, and must not hide it from the runner.
    let cells = plain(&[
        "let a = 1;",
        "println!(\"before\");\nprint!(\"half\");\npanic!(\"why\");",
    ]);
    let report = [
        "    | println!(\"before\");\n",
        "    the cell panicked\n",
        "    before\n",
        "    why\n",
    ];
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
    assert_fails(
        &[],
        &notebook("question-mark", &cells),
        "cell 1 of 2",
        &report,
    );
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_does_not_compile_fails_the_run() {
    let cells = plain(&["let n: u32 = \"x\";"]);
    let report = [
        "    | let n: u32 = \"x\";\n",
        "    the cell failed\n",
        "expected `u32`, found `&str`",
    ];
    assert_fails(
        &[],
        &notebook("does-not-compile", &cells),
        "cell 1 of 1",
        &report,
    );
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_cell_that_exits_fails_the_run_and_its_last_words_are_kept() {
    let cells = plain(&["println!(\"last words\");\nstd::process::exit(3);"]);
    let report = [
        "    last words\n",
        "Subprocess terminated with status: exit status: 3\n",
    ];
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
    assert_fails(
        &[],
        &notebook("restarts", &cells),
        "cell 4 of 4",
        &["    why\n"],
    );
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
    assert_fails(
        &["--timeout", "3"],
        &notebook("too-long", &cells),
        "cell 1 of 1",
        &report,
    );
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn outputs_are_stored_the_same_each_time_and_only_by_a_run_that_passed() {
    let sources = [
        ":dep cpu-time = \"1\"",
        "let v = vec![3, 1, 2];\nfor i in &v { println!(\"{i}\"); eprintln!(\"late {i}\"); }",
        "v",
    ];
    let path = notebook("stores", &plain(&sources));
    assert_passes(&["--write", "--twice"], &path);
    let stored = fs::read_to_string(&path).unwrap();
    let parts = [
        "\"3\\n\",\n      \"1\\n\",\n      \"2\\n\"\n",
        "\"late 3\\n\",\n      \"late 1\\n\",\n      \"late 2\\n\"\n",
        "\"[3, 1, 2]\"",
        "\"execution_count\": 3",
        "\"name\": \"rust\"",
    ];
    for part in parts {
        assert!(stored.contains(part), "no {part} in {stored}");
    }
    assert!(
        !stored.contains("cargo lab") && !stored.contains("\\u0001"),
        "{stored}"
    );
    assert!(stored.ends_with("}\n"));
    let page = path.parent().unwrap().join("pages");
    assert_passes(&["--write", "--html", page.to_str().unwrap()], &path);
    assert_eq!(fs::read_to_string(&path).unwrap(), stored);
    let html = fs::read_to_string(page.join("stores.html")).unwrap();
    assert!(html.contains("late 2"));
    assert!(
        !html.contains("<script src") && !html.contains("<link rel=\"stylesheet\" href=\"http")
    );

    let path = notebook("stores-not", &plain(&["println!(\"once\");", "panic!();"]));
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(run(&["--write"], &path).0, Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let cells = plain(&["println!(\"{}/x\", std::env::temp_dir().display());"]);
    let path = notebook("stores-no-paths", &cells);
    assert_fails(
        &["--write"],
        &path,
        "cell 1",
        &["names a path of this machine"],
    );
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_file_that_is_no_notebook_fails_the_run() {
    let path = notebook("no-notebook", &[]);
    fs::write(&path, "{").unwrap();
    assert_fails(
        &[],
        &path,
        "cannot be read",
        &["    Notebook does not appear to be JSON"],
    );
    fs::remove_file(&path).unwrap();
    assert_fails(
        &[],
        &path,
        "cannot be read",
        &["    No such file or directory\n"],
    );
}

/// A notebook whose first cell starts a process that adds to a file for ever.
fn with_a_child(name: &str, last: &'static str) -> (PathBuf, PathBuf) {
    let heartbeat = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.heartbeat"));
    let _ = fs::remove_file(&heartbeat);
    let start = format!(
        "let child = std::process::Command::new(\"sh\").arg(\"-c\")\
         .arg(\"while echo >> {}; do sleep 0.05; done\").spawn()?;",
        heartbeat.display()
    );
    (
        notebook(name, &[Cell(&start, false), Cell(last, false)]),
        heartbeat,
    )
}

fn beats(heartbeat: &Path) -> u64 {
    fs::metadata(heartbeat).map_or(0, |data| data.len())
}

#[track_caller]
fn assert_is_gone(heartbeat: &Path) {
    let before = beats(heartbeat);
    assert!(before > 0, "it never ran");
    sleep(Duration::from_millis(500));
    assert_eq!(beats(heartbeat), before, "it still runs");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn no_process_outlives_the_run() {
    for (name, last) in [
        ("outlives", "println!(\"done\");"),
        ("outlives-failure", "panic!();"),
    ] {
        let (path, heartbeat) = with_a_child(name, last);
        run(&[], &path);
        assert_is_gone(&heartbeat);
    }
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn an_interrupt_ends_the_run_at_once() {
    let (path, heartbeat) = with_a_child("interrupted-run", "loop { std::hint::spin_loop(); }");
    let mut lab = lab_run(&[], &path).stdout(Stdio::null()).spawn().unwrap();
    while beats(&heartbeat) == 0 {
        assert!(lab.try_wait().unwrap().is_none(), "the run ended by itself");
        sleep(Duration::from_millis(50));
    }
    let interrupted = Instant::now();
    let kill = format!("kill -INT {}", lab.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(lab.wait().unwrap().code(), Some(130));
    assert!(
        interrupted.elapsed() < Duration::from_secs(3),
        "{:?}",
        interrupted.elapsed()
    );
    assert_is_gone(&heartbeat);
}
