//! The browser test itself, on notebooks that it has to find fault with.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace with other notebooks: each has one cell, and what is stored as its output.
fn workspace(notebooks: &[(&str, &str, &str)]) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    let _ = fs::remove_dir_all(&root);
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let real = real.canonicalize().unwrap();
    fs::create_dir_all(root.join(".lab")).unwrap();
    for name in ["Cargo.toml", "Cargo.lock", "crates", "environment.yml"] {
        symlink(real.join(name), root.join(name)).unwrap();
    }
    for name in [".lab/python", ".lab/test-python"] {
        if real.join(name).exists() {
            symlink(real.join(name), root.join(name)).unwrap();
        }
    }
    fs::create_dir(root.join("notebooks")).unwrap();
    for (name, source, output) in notebooks {
        let text = format!(
            r#"{{"cells": [{{"cell_type": "code", "id": "only", "execution_count": 1, "metadata": {{}},
                 "source": {source:?}, "outputs": [{output}]}}],
                 "metadata": {{"kernelspec": {{"display_name": "Rust", "language": "rust",
                 "name": "rust"}}}}, "nbformat": 4, "nbformat_minor": 5}}"#
        );
        fs::write(root.join("notebooks").join(name), text).unwrap();
    }
    root
}

fn drawing(inside: &str) -> String {
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='100'>\
         <rect width='200' height='100' fill='white'/>{inside}</svg>"
    );
    format!(
        r#"{{"output_type": "display_data", "metadata": {{}}, "data": {{"image/svg+xml": {svg:?}}}}}"#
    )
}

#[test]
#[ignore = "needs the Rust kernel and a browser; `cargo lab test` runs it"]
fn plots_that_are_not_drawn_and_cells_that_fail_are_found() {
    let blank = drawing("");
    let drawn = drawing("<circle cx='50' cy='50' r='40' fill='blue'/><text y='20'>a plot</text>");
    let root = workspace(&[
        ("1-blank.ipynb", "println!();", &blank),
        ("2-undrawn.ipynb", "println!();", &drawn),
        ("3-panics.ipynb", "panic!(\"why\");", ""),
    ]);
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["test", "browser"])
        .env("CARGO_MANIFEST_DIR", root.join("crates/lab"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if let Some(line) = stderr.lines().find(|line| line.contains("SKIPPED")) {
        println!("{line}");
        return;
    }
    // Stages that may run beside others say their name in each line.
    let said = stderr.replace("browser: ", "");
    for part in [
        "FAILED 1-blank.ipynb  1-blank cell 0: plot 1 is blank\n",
        "FAILED 2-undrawn.ipynb  not within 10 s: 2-undrawn cell 0 shows 1 plots\n",
        "FAILED 3-panics.ipynb  cell 0 failed\n    panic!(\"why\");\n",
        "3 notebooks in JupyterLab, 3 failures\n",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(!output.status.success());
    assert!(root.join("target/screenshots/index.html").exists());
}
