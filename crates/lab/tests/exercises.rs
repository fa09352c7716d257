//! Exercises in notebooks: `cargo lab run` shows that the check finds fault with the reader's cell as
//! it is stored (its tag is `check`) and none with the solution below it (tag `solution`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNSOLVED: (&str, &str) = ("exercise", "fn two() -> u32 { 0 }");
const CHECK: (&str, &str) = (
    "check",
    "println!(\"{}\", match two() { 2 => \"Well done\".into(), n => format!(\"Not yet: {n}\") });",
);
const SOLUTION: (&str, &str) = ("solution", "fn two() -> u32 { 2 }");

/// Writes a notebook of code cells, each with its tag, into a folder of its own.
fn notebook(name: &str, cells: &[(&str, &str)]) -> PathBuf {
    // Rust's escapes in these sources are JSON's.
    let cell = |(number, (tag, source)): (usize, &(&str, &str))| {
        format!(
            r#"{{"cell_type": "code", "id": "cell-{number}", "execution_count": null,
                 "metadata": {{"tags": [{tag:?}]}}, "outputs": [], "source": {source:?}}}"#
        )
    };
    let cells: Vec<_> = cells.iter().enumerate().map(cell).collect();
    let text = format!(
        r#"{{"cells": [{}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}"#,
        cells.join(",")
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("exercise.ipynb");
    fs::write(&path, text).unwrap();
    path
}

/// Runs a notebook; returns whether it passed, and the report.
fn run(flags: &[&str], notebook: &Path) -> (bool, String) {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    let output = lab.arg("run").args(flags).arg(notebook).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), report)
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_solved_exercise_passes_and_is_stored_unsolved() {
    let path = notebook("solved", &[UNSOLVED, CHECK, SOLUTION]);
    let (passed, report) = run(&["--twice", "--write"], &path);
    assert!(passed, "{report}");
    let stored = fs::read_to_string(&path).unwrap();
    assert!(stored.contains("\"Not yet: 0\\n\""), "{stored}");
    assert!(!stored.contains("\"Well done\\n\""), "{stored}");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn an_exercise_that_is_no_exercise_fails_the_run() {
    let wrong = ("solution", "fn two() -> u32 { 3 }");
    let cases: [(&str, &[_], _, _); 4] = [
        (
            "solved-already",
            &[("exercise", SOLUTION.1), CHECK, SOLUTION],
            "cell 2 of 3",
            "the check has to say \"Not yet\"\n    Well done\n",
        ),
        (
            "never-solved",
            &[UNSOLVED, CHECK, wrong],
            "cell 3 of 3",
            "the check has to say \"Well done\" after the solution; it said\n    Not yet: 3\n",
        ),
        (
            "breaks-the-check",
            &[UNSOLVED, CHECK, ("solution", "fn two() -> u32 { panic!() }")],
            "cell 3 of 3",
            "the cell panicked after the solution",
        ),
        (
            "without-a-check",
            &[UNSOLVED, SOLUTION],
            "cell 2 of 2",
            "a solution (tag solution) needs a check above it (tag check)\n",
        ),
    ];
    for (name, cells, place, why) in cases {
        let (passed, report) = run(&[], &notebook(name, cells));
        assert!(!passed, "{report}");
        let first = format!("FAILED exercise.ipynb  {place}");
        assert_eq!(report.lines().next(), Some(first.as_str()));
        assert!(report.contains(why), "no {why:?} in:\n{report}");
    }
}
