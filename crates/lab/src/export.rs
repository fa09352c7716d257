//! `cargo lab export`: writes the notebooks as they are stored in other forms. Nothing runs.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::workspace::{Workspace, script};

/// Where exercises go in the workspace unless a folder is named.
const EXERCISES: &str = "target/exercises";

/// What `cargo lab export` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    exercises: bool,
    folder: Option<OsString>,
}

impl Options {
    /// Reads the arguments after `export`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = Parser::from_args(arguments);
        while let Some(argument) = arguments
            .next()
            .map_err(|error| Problem::new(format!("`cargo lab export`: {error}")))?
        {
            let wrong = match argument {
                Long("exercises") => {
                    options.exercises = true;
                    continue;
                }
                Value(folder) if options.folder.is_none() => {
                    options.folder = Some(folder);
                    continue;
                }
                Value(second) => format!("takes one folder, and {} is a second", second.display()),
                Long(name) => format!("has no option --{name}; it has --exercises"),
                Short(letter) => format!("has no option -{letter}; it has --exercises"),
            };
            return Err(Problem::new(format!("`cargo lab export` {wrong}")));
        }
        Ok(options)
    }

    /// The command that writes all notebooks of the workspace.
    pub(crate) fn command(self, workspace: &Workspace, environment: &Environment) -> Command {
        let usual = if self.exercises { EXERCISES } else { crate::notebooks::PAGES };
        let folder = self.folder.map_or_else(|| workspace.root().join(usual), Into::into);
        let mut command = pages(workspace, environment, &folder);
        if self.exercises {
            command.arg("--exercises");
        }
        command
    }
}

/// The command that writes the pages of all notebooks of the workspace.
pub(crate) fn pages(workspace: &Workspace, environment: &Environment, folder: &Path) -> Command {
    let mut command = environment.script(&script!(workspace, "notebooks/export.py"));
    command.arg(folder).args(workspace.notebooks());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_folder_may_stand_before_and_behind_the_option() {
        let wanted = Options { exercises: true, folder: Some("out".into()) };
        assert_eq!(parse(&["--exercises", "out"]), Ok(wanted));
        assert_eq!(parse(&["out", "--exercises"]), parse(&["--exercises", "out"]));
        assert_eq!(parse(&[]), Ok(Options::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, wanted) in [
            (&["--wrong"][..], "no option --wrong; it has --exercises"),
            (&["-w"], "no option -w; it has --exercises"),
            (&["a", "b"], "b is a second"),
            (&["--exercises=a"], "--exercises"),
        ] {
            let problem = parse(arguments).unwrap_err().to_string();
            assert!(problem.contains(wanted), "{problem}");
        }
    }
}
