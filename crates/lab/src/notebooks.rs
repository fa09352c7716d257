//! `cargo lab run`: runs notebooks headless in the real kernel.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::workspace::Workspace;

const RUNNER: &str = include_str!("run_notebooks.py");

/// What `cargo lab run` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// For the runner as they are.
    flags: Vec<OsString>,
    notebooks: Vec<PathBuf>,
}

impl Options {
    /// Reads the arguments after `run`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--twice" | "--write") => options.flags.push(argument),
                Some(name @ ("--html" | "--timeout")) => {
                    let value = arguments.next().filter(|value| {
                        name != "--timeout" || value.to_str().is_some_and(is_positive_number)
                    });
                    let value = value.ok_or_else(|| {
                        Problem::new(match name {
                            "--html" => "--html needs a folder",
                            _ => "--timeout needs a number of seconds",
                        })
                    })?;
                    options.flags.extend([argument, value]);
                }
                Some(name) if name.starts_with('-') => {
                    return Err(Problem::new(format!(
                        "`cargo lab run` has no option {name}; it has --write, --twice, \
                         --html DIR and --timeout SECONDS"
                    )));
                }
                _ => options.notebooks.push(argument.into()),
            }
        }
        Ok(options)
    }

    /// The run that `cargo lab test` does.
    pub(crate) fn all_twice() -> Self {
        Self {
            flags: vec!["--twice".into()],
            notebooks: Vec::new(),
        }
    }

    /// The command that does the run; without notebooks, all of the workspace's.
    pub(crate) fn command(
        self,
        workspace: &Workspace,
        environment: &Environment,
    ) -> Result<Command> {
        let notebooks = match self.notebooks {
            none if none.is_empty() => workspace.notebooks(),
            named => named,
        };
        if notebooks.is_empty() {
            return Err(Problem::new("there are no notebooks in notebooks/"));
        }
        let mut command = runner(environment);
        command.args(self.flags).arg("--").args(notebooks);
        Ok(command)
    }
}

fn is_positive_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number > 0)
}

/// The notebook runner, without arguments.
pub(crate) fn runner(environment: &Environment) -> Command {
    let mut command = environment.command();
    command.args(["-I", "-c", RUNNER]);
    command
}

/// Becomes the program, so that a signal meets it and its exit status is ours.
pub(crate) fn replace_self_by(mut command: Command) -> Problem {
    let error = command.exec();
    Problem::new(format!(
        "cannot run {}: {error}",
        command.get_program().display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn flags_and_notebooks_may_stand_in_any_order() {
        let options = parse(&["a.ipynb", "--html", "out", "--twice", "b.ipynb"]).unwrap();
        assert_eq!(options.flags, ["--html", "out", "--twice"]);
        assert_eq!(
            options.notebooks,
            [PathBuf::from("a.ipynb"), "b.ipynb".into()]
        );
    }

    #[test]
    fn a_wrong_option_is_named_with_the_right_ones() {
        let problem = parse(&["--wrong"]).unwrap_err().to_string();
        assert!(
            problem.contains("no option --wrong") && problem.contains("--twice"),
            "{problem}"
        );
        assert_eq!(
            parse(&["--html"]).unwrap_err().to_string(),
            "--html needs a folder"
        );
        for wrong in ["x", "0", "-1"] {
            let problem = parse(&["--timeout", wrong]).unwrap_err().to_string();
            assert_eq!(problem, "--timeout needs a number of seconds");
        }
    }
}
