//! `cargo lab bench`: builds the program that measures, and gives it what it needs.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::workspace::Workspace;

const PACKAGE: &[&str] = &["--package", "joblab-bench", "--features", "measure"];

/// Runs it with the notebooks' environment, for its kernel, and one of Python's pools.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = OsString>,
    workspace: &Workspace,
    environment: &Environment,
) -> Result<ExitCode> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let all = arguments.len();
    arguments.retain(|argument| argument != "--inside");
    let is_inside = arguments.len() < all;
    let mut cargo = program::cargo();
    environment.activate(&mut cargo);
    cargo.current_dir(workspace.root());
    if is_inside {
        cargo.args(["bench", "--bench", "inside"]).args(PACKAGE);
    } else {
        let peers = Environment::for_bench(workspace)?;
        cargo.env("JOBLAB_BENCH_PYTHON", peers.python());
        cargo.args(["run", "--quiet", "--release"]).args(PACKAGE);
    }
    let status = cargo.arg("--").args(arguments).status();
    match status {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::FAILURE),
        Err(error) => Err(Problem::new(format!("cannot run cargo: {error}"))),
    }
}
