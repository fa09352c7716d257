//! `cargo lab run`: runs notebooks headless in the real kernel.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::workspace::{Workspace, script};

/// Where pages go in the workspace unless a folder is named.
pub(crate) const PAGES: &str = "target/notebooks";

/// The folder that pages go to.
#[derive(Debug, PartialEq, Eq)]
enum Pages {
    Usual,
    In(OsString),
}

/// What `cargo lab run` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// For the runner as they are.
    flags: Vec<OsString>,
    pages: Option<Pages>,
    notebooks: Vec<PathBuf>,
}

impl Options {
    /// Reads the arguments after `run`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = Parser::from_args(arguments);
        while let Some(argument) =
            arguments.next().map_err(|error| Problem::new(format!("`cargo lab run`: {error}")))?
        {
            match argument {
                Long(flag @ ("rerun" | "twice" | "write")) => {
                    options.flags.push(format!("--{flag}").into());
                }
                Long("html") => {
                    let named = arguments.optional_value();
                    let next = || arguments.try_raw_args()?.next_if(is_folder);
                    options.pages = Some(named.or_else(next).map_or(Pages::Usual, Pages::In));
                }
                Long("timeout") => {
                    let seconds = arguments.value().ok().filter(is_positive_number);
                    let seconds = seconds
                        .ok_or_else(|| Problem::new("--timeout needs a number of seconds"))?;
                    options.flags.extend(["--timeout".into(), seconds]);
                }
                Value(notebook) => options.notebooks.push(notebook.into()),
                Long(name) => return Err(no_option(&format!("--{name}"))),
                Short(letter) => return Err(no_option(&format!("-{letter}"))),
            }
        }
        Ok(options)
    }

    /// The run that `cargo lab test` does.
    pub(crate) fn all_again() -> Self {
        Self { flags: vec!["--rerun".into()], ..Self::default() }
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
        let mut command = runner(workspace, environment);
        command.args(self.flags);
        match self.pages {
            Some(Pages::Usual) => command.arg("--html").arg(workspace.root().join(PAGES)),
            Some(Pages::In(folder)) => command.arg("--html").arg(folder),
            None => &mut command,
        };
        command.arg("--").args(notebooks);
        Ok(command)
    }
}

fn no_option(name: &str) -> Problem {
    Problem::new(format!(
        "`cargo lab run` has no option {name}; it has --write, --twice, --rerun, --html [DIR] and \
         --timeout SECONDS"
    ))
}

fn is_positive_number(argument: &OsString) -> bool {
    let text = argument.to_str().unwrap_or_default();
    text.parse::<u32>().is_ok_and(|number| number > 0)
}

/// Whether what comes after `--html` is its folder: neither an option nor a notebook.
fn is_folder(argument: &OsStr) -> bool {
    let is_notebook = Path::new(argument).extension().is_some_and(|extension| extension == "ipynb");
    !is_notebook && !argument.as_encoded_bytes().starts_with(b"-")
}

/// The notebook runner, without arguments.
pub(crate) fn runner(workspace: &Workspace, environment: &Environment) -> Command {
    environment.script(&script!(workspace, "notebooks/run.py"))
}

/// Becomes the program, so that a signal meets it and its exit status is ours.
pub(crate) fn replace_self_by(mut command: Command) -> Problem {
    let error = command.exec();
    Problem::new(format!("cannot run {}: {error}", command.get_program().display()))
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
        assert_eq!(options.flags, ["--twice"]);
        assert_eq!(options.pages, Some(Pages::In("out".into())));
        assert_eq!(options.notebooks, [PathBuf::from("a.ipynb"), "b.ipynb".into()]);
    }

    #[test]
    fn pages_have_a_folder_of_their_own_unless_one_is_named() {
        assert_eq!(parse(&["a.ipynb"]).unwrap().pages, None);
        for next in ["--twice", "a.ipynb"] {
            let options = parse(&["--html", next]).unwrap();
            assert_eq!(options.pages, Some(Pages::Usual), "{next}");
        }
    }

    #[test]
    fn a_value_may_stand_behind_an_equals_sign() {
        let options = parse(&["--timeout=30", "--html=a.ipynb", "--", "--twice"]).unwrap();
        assert_eq!(options.flags, ["--timeout", "30"]);
        assert_eq!(options.pages, Some(Pages::In("a.ipynb".into())));
        assert_eq!(options.notebooks, [PathBuf::from("--twice")]);
        let problem = parse(&["--twice=2"]).unwrap_err().to_string();
        assert!(problem.contains("--twice") && problem.contains("\"2\""), "{problem}");
    }

    #[test]
    fn a_wrong_option_is_named_with_the_right_ones() {
        let problem = parse(&["--wrong"]).unwrap_err().to_string();
        assert!(problem.contains("no option --wrong") && problem.contains("--twice"), "{problem}");
        for wrong in ["x", "0", "-1"] {
            let problem = parse(&["--timeout", wrong]).unwrap_err().to_string();
            assert_eq!(problem, "--timeout needs a number of seconds");
        }
    }
}
