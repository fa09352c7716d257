//! Notebooks made for a test, and what a run of them says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A code cell: its source, and whether it is to fail.
pub(crate) struct Cell<'a>(pub(crate) &'a str, pub(crate) bool);

impl Cell<'_> {
    fn json(&self, number: usize) -> String {
        let Self(source, to_fail) = self;
        let tags = if *to_fail { r#""tags": ["raises-exception"]"# } else { "" };
        // Rust's escapes in these sources are JSON's.
        format!(
            r#"{{"cell_type": "code", "id": "cell-{number}", "execution_count": null,
                 "metadata": {{{tags}}}, "outputs": [], "source": {source:?}}}"#
        )
    }
}

/// Writes a notebook into a folder of its own.
pub(crate) fn notebook(name: &str, cells: &[Cell]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let cells: Vec<_> = cells.iter().enumerate().map(|(i, cell)| cell.json(i)).collect();
    let text = format!(
        r#"{{"cells": [{}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}"#,
        cells.join(",")
    );
    let path = folder.join(format!("{name}.ipynb"));
    fs::write(&path, text).unwrap();
    path
}

pub(crate) fn plain(sources: &[&'static str]) -> Vec<Cell<'static>> {
    sources.iter().map(|source| Cell(source, false)).collect()
}

pub(crate) fn lab_run(flags: &[&str], notebook: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.arg("run").args(flags).arg(notebook);
    command
}

/// Runs a notebook; returns the exit status and the report.
pub(crate) fn run(flags: &[&str], notebook: &Path) -> (Option<i32>, String) {
    let output = lab_run(flags, notebook).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Asserts that the report names the cell, shows its source, and says why.
#[track_caller]
pub(crate) fn assert_fails(flags: &[&str], notebook: &Path, place: &str, report: &[&str]) {
    let (status, stdout) = run(flags, notebook);
    assert_eq!(status, Some(1), "{stdout}");
    let name = notebook.file_name().unwrap().to_str().unwrap();
    assert_eq!(stdout.lines().next(), Some(format!("FAILED {name}  {place}").as_str()));
    for part in report {
        assert!(stdout.contains(part), "no {part:?} in:\n{stdout}");
    }
    assert_eq!(stdout.lines().last(), Some("0 passed, 1 failed"));
}

#[track_caller]
pub(crate) fn assert_passes(flags: &[&str], notebook: &Path) {
    let (status, stdout) = run(flags, notebook);
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.starts_with("ok     "), "{stdout}");
    assert_eq!(stdout.lines().last(), Some("1 passed, 0 failed"));
}
