//! `cargo lab`: sets up, opens, runs, tests and measures the notebooks and what they use.

mod bench;
mod browser;
mod imports;
mod kernel;
mod llvm_lines;
mod notebooks;
mod packages;
mod problem;
mod program;
mod python;
mod say;
mod test;
mod workspace;

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

use notebooks::{Options, replace_self_by};
use problem::Result;
use python::Environment;
use test::Stages;
use workspace::Workspace;

const USAGE: &str = "\
cargo lab [OPTIONS..]           set up what is missing and open JupyterLab on the first notebook;
                                the options are JupyterLab's, as in --no-browser --port 9999
cargo lab run [NOTEBOOK..]      run notebooks (default: all) in the real kernel
          --write               store their outputs
          --html [DIR]          write them as a small site to read (default: target/notebooks)
          --twice               run every cell a second time on the same kernel
          --rerun               run cells again in other ways, interrupt one, look for what is left
          --timeout SECONDS     stop a cell that takes longer
cargo lab test [STAGE..]        format, imports (no circle of files), clippy, docs, llvm-lines
                                (how much a cell compiles), tests, costs, release, notebooks (run
                                and rerun), browser (the notebooks in JupyterLab); default: all
cargo lab bench [CASE..]        measure joblab beside other pools and the machine; without cases
                                it measures all, some ten minutes, and stores table and figures
          --check               compare with what is stored, and fail on a loss of a quarter
          --report              write table and figures of the stored numbers anew
          --inside              measure single steps inside the process";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    dispatch(arguments).unwrap_or_else(|problem| {
        eprintln!("error: {problem}");
        ExitCode::FAILURE
    })
}

fn dispatch(arguments: Vec<OsString>) -> Result<ExitCode> {
    let command = arguments.first().and_then(|argument| argument.to_str());
    match command {
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some("run") => {
            let options = Options::parse(arguments.into_iter().skip(1))?;
            let (workspace, environment) = set_up()?;
            Err(replace_self_by(options.command(&workspace, &environment)?))
        }
        Some("test") => {
            let stages = Stages::parse(arguments.into_iter().skip(1))?;
            if !stages.need_set_up() {
                return stages.run(&Workspace::find()?, None);
            }
            let (workspace, environment) = set_up()?;
            stages.run(&workspace, Some(&environment))
        }
        Some("bench") => {
            let (workspace, environment) = set_up()?;
            bench::run(arguments.into_iter().skip(1), &workspace, &environment)
        }
        _ => {
            let (workspace, environment) = set_up()?;
            trust(&workspace, &environment);
            Err(replace_self_by(jupyterlab(&workspace, &environment, arguments)))
        }
    }
}

/// Finds what the notebooks need and makes what is missing.
fn set_up() -> Result<(Workspace, Environment)> {
    let workspace = Workspace::find()?;
    let environment = Environment::find_or_make(&workspace)?;
    kernel::set_up(&workspace, &environment)?;
    Ok((workspace, environment))
}

/// Lets JupyterLab show the figures that are stored in our notebooks: it shows none of a notebook
/// that it has not seen before. Whoever calls us runs our code anyway.
fn trust(workspace: &Workspace, environment: &Environment) {
    let mut command = environment.command();
    command.args(["-m", "jupyter", "trust"]).args(workspace.notebooks());
    // Without it figures are shown after a run, as in any notebook that came from elsewhere.
    let _ = command.output();
}

/// JupyterLab with the whole workspace in its file browser and the first notebook open. What the
/// options say comes after what we say, and so wins.
fn jupyterlab(workspace: &Workspace, environment: &Environment, options: Vec<OsString>) -> Command {
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
