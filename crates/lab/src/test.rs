//! `cargo lab test`: everything that must hold before a change goes in.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::notebooks::Options;
use crate::problem::Result;
use crate::program;
use crate::python::Environment;
use crate::workspace::Workspace;

/// The stages that cargo does, in the order of what they cost.
const STAGES: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--check"]),
    (
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("docs", &["doc", "--workspace", "--no-deps"]),
    (
        "tests",
        &[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--",
            "--include-ignored",
        ],
    ),
    // What the loop costs, and that it costs anything, depends on the optimiser.
    (
        "release",
        &["test", "--release", "--package", "joblab", "--lib"],
    ),
];

/// Runs all stages, the notebooks last; a stage that fails does not hide what the others find.
pub(crate) fn run(workspace: &Workspace, environment: &Environment) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, arguments) in STAGES {
        let mut cargo = program::cargo();
        cargo.args(*arguments).current_dir(workspace.root());
        if *name == "docs" {
            cargo.env("RUSTDOCFLAGS", "-D warnings");
        }
        let started = Instant::now();
        let passed = announced(name, &mut cargo);
        let verdict = if passed { "ok" } else { "FAILED" };
        eprintln!(
            "{verdict:<6} {name}  {:.1} s",
            started.elapsed().as_secs_f64()
        );
        if !passed {
            failed.push(*name);
        }
    }
    if !announced(
        "notebooks",
        &mut Options::all_twice().command(workspace, environment)?,
    ) {
        failed.push("notebooks");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("cargo lab test: FAILED: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn announced(name: &str, command: &mut Command) -> bool {
    eprintln!("\n== {name}");
    command.status().is_ok_and(|status| status.success())
}
