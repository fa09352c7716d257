//! `cargo lab bench`: builds the program that measures, and gives it what it needs.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::workspace::Workspace;

const OPTIONS: &[&str] = &[CHECK, "--growth", "--report", "--pictures"];
/// The one that measures other pools too: what the others do needs joblab alone.
const CHECK: &str = "--check";

/// Reads the arguments after `bench`, for a program that is still to be built.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let is_wrong = |argument: &&OsString| {
        argument.as_encoded_bytes().starts_with(b"-") && OPTIONS.iter().all(|it| argument != it)
    };
    match arguments.iter().find(is_wrong) {
        Some(wrong) => Err(Problem::new(format!(
            "`cargo lab bench` has no option {}; it has {}",
            wrong.display(),
            OPTIONS.join(", ")
        ))),
        None => Ok(arguments),
    }
}

/// Runs it with the notebooks' environment, for its kernel, and one of Python's pools.
pub(crate) fn run(
    arguments: Vec<OsString>,
    workspace: &Workspace,
    environment: &Environment,
) -> Result<ExitCode> {
    let mut cargo = program::cargo();
    environment.activate(&mut cargo);
    cargo.current_dir(workspace.root());
    let is_alone =
        |argument: &OsString| argument != CHECK && OPTIONS.iter().any(|it| argument == it);
    if !arguments.iter().any(is_alone) {
        let peers = Environment::for_bench(workspace)?;
        cargo.env("JOBLAB_BENCH_PYTHON", peers.python());
    }
    cargo.args(["run", "--quiet", "--release", "--package", "joblab-bench"]);
    cargo.args(["--features", "measure"]);
    let status = cargo.arg("--").args(arguments).status();
    match status {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::FAILURE),
        Err(error) => Err(Problem::new(format!("cannot run cargo: {error}"))),
    }
}
