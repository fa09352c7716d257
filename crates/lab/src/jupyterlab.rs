//! `cargo lab`: JupyterLab on the notebooks.

use std::ffi::OsString;
use std::process::Command;

use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::workspace::Workspace;

/// Lets JupyterLab start for root.
const ALLOW_ROOT: [&str; 2] = ["--allow-root", "--ServerApp.allow_root"];
/// With these it only says something and ends.
const TELLS: &[&str] =
    &["--help-all", "--version", "--show-config", "--show-config-json", "--generate-config"];

/// Says what JupyterLab would only say after all of the set-up: that it does not start for root.
pub(crate) fn check(options: &[OsString]) -> Result<()> {
    let is_fine = |option: &OsString| {
        let option = option.to_string_lossy();
        let (name, _) = option.split_once('=').unwrap_or((&option, ""));
        ALLOW_ROOT.contains(&name) || TELLS.contains(&name)
    };
    let is_root = || program::output("id", ["-u"]).is_some_and(|id| id == "0");
    if options.iter().any(is_fine) || !is_root() {
        return Ok(());
    }
    Err(Problem::new(
        "JupyterLab does not start for root unless it is told to: cargo lab --allow-root",
    ))
}

/// Lets JupyterLab show the figures that are stored in our notebooks: it shows none of a notebook
/// that it has not seen before. Whoever calls us runs our code anyway.
pub(crate) fn trust(workspace: &Workspace, environment: &Environment) {
    let mut command = environment.command();
    command.args(["-m", "jupyter", "trust"]).args(workspace.notebooks());
    // Without it figures are shown after a run, as in any notebook that came from elsewhere.
    let _ = command.output();
}

/// JupyterLab with the whole workspace in its file browser and the first notebook open. What the
/// options say comes after what we say, and so wins.
pub(crate) fn command(
    workspace: &Workspace,
    environment: &Environment,
    options: Vec<OsString>,
) -> Command {
    let mut command = environment.command();
    command.args(["-m", "jupyterlab", "--ServerApp.root_dir"]).arg(workspace.root());
    // A kernel that died while it started is up again after three seconds, and Jupyter's server goes
    // on asking the dead one for a minute. One that only is slow can be asked again too.
    command.arg("--MappingKernelManager.kernel_info_timeout=10");
    if let Some(name) = workspace.notebooks().first().and_then(|path| path.file_name()) {
        let url = format!("/lab/tree/notebooks/{}", name.display());
        command.args(["--LabApp.default_url", &url]);
    }
    command.args(options);
    command
}
