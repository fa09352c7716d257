//! `cargo lab bench`: builds the program that measures, and gives it what it needs.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::workspace::Workspace;

const OPTIONS: &[&str] = &["--check", "--report"];
const INSIDE: &str = "--inside";
const PACKAGE: &[&str] = &["--package", "joblab-bench", "--features", "measure"];

/// What `cargo lab bench` was asked for.
pub(crate) struct Options {
    /// Single steps, by a program of their own, which has more options than we know.
    is_inside: bool,
    arguments: Vec<OsString>,
}

impl Options {
    /// Reads the arguments after `bench`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut arguments: Vec<_> = arguments.into_iter().collect();
        let all = arguments.len();
        arguments.retain(|argument| argument != INSIDE);
        let is_inside = arguments.len() < all;
        let is_wrong = |argument: &&OsString| {
            argument.as_encoded_bytes().starts_with(b"-") && OPTIONS.iter().all(|it| argument != it)
        };
        match arguments.iter().find(is_wrong) {
            Some(wrong) if !is_inside => Err(Problem::new(format!(
                "`cargo lab bench` has no option {}; it has {} and {INSIDE}",
                wrong.display(),
                OPTIONS.join(", ")
            ))),
            _ => Ok(Self { is_inside, arguments }),
        }
    }
}

/// Runs it with the notebooks' environment, for its kernel, and one of Python's pools.
pub(crate) fn run(
    options: Options,
    workspace: &Workspace,
    environment: &Environment,
) -> Result<ExitCode> {
    let Options { is_inside, arguments } = options;
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
