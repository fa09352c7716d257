//! `cargo lab`: sets up, opens, runs, tests and measures the notebooks and what they use.

#[cfg(not(unix))]
compile_error!("`cargo lab` needs Linux or macOS: on Windows, call it in WSL");

mod bench;
mod browser;
mod export;
mod imports;
mod jupyterlab;
mod kernel;
mod llvm_lines;
mod mac;
mod notebooks;
mod package;
mod packages;
mod problem;
mod program;
mod python;
mod say;
mod site;
mod test;
mod workspace;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use notebooks::{Options, replace_self_by};
use problem::Result;
use python::Environment;
use test::Stages;
use workspace::Workspace;

const LAB: &str = "\
cargo lab [OPTIONS..]           set up what is missing and open JupyterLab on the first notebook;
                                the options are JupyterLab's, as in --no-browser --port 9999
                                (--help-all lists them)";
const RUN: &str = "\
cargo lab run [NOTEBOOK..]      run notebooks (default: all) in the real kernel
          --write               store their outputs
          --html [DIR]          write them as a small site to read (default: target/notebooks)
          --twice               run every cell a second time on the same kernel
          --rerun               run cells again in other ways, interrupt one, look for what is left
          --timeout SECONDS     stop a cell that takes longer";
const EXPORT: &str = "\
cargo lab export [DIR]          write the stored notebooks as pages to read, slides, and a sheet of
                                figures (default: target/notebooks); nothing runs
          --exercises           write notebooks without solutions and outputs instead
                                (default: target/exercises)";
const TEST: &str = "\
cargo lab test [STAGE..]        format, imports (no circle of files), clippy, docs, llvm-lines
                                (how much a cell compiles), mac (checked and linked for macOS,
                                checked for Windows), package (the packaged crate builds elsewhere
                                and passes its tests there), msrv (on the oldest Rust, where rustup
                                has it), semver and licences (where cargo-semver-checks and
                                cargo-deny are installed), portable (the crate's tests, where Linux
                                does as macOS has to), release (the loop, optimised), tests (of all
                                but the crate), site (texts, and the pages of `cargo lab export`),
                                notebooks (run and rerun), browser (the notebooks in JupyterLab),
                                costs (what Dask's tasks cost); default: all, some side by side";
const BENCH: &str = "\
cargo lab bench [CASE..]        measure joblab beside other pools and the machine; without cases
                                it measures all, some ten minutes, and stores table and figures
          --check               compare with what is stored, and fail on a loss of a quarter that is
                                more than noise
          --growth              instead, how time and memory grow with tasks, workers, bytes and cells,
                                some ten minutes; its cases are these curves
          --report              write table and figures of the stored numbers anew
          --pictures            draw the README's timelines from runs of now";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    dispatch(arguments).unwrap_or_else(|problem| {
        eprintln!("error: {problem}");
        ExitCode::FAILURE
    })
}

fn dispatch(arguments: Vec<OsString>) -> Result<ExitCode> {
    if let Some(help) = help(&arguments) {
        println!("{help}");
        return Ok(ExitCode::SUCCESS);
    }
    let command = arguments.first().and_then(|argument| argument.to_str());
    match command {
        Some("run") => {
            let options = Options::parse(arguments.into_iter().skip(1))?;
            let (workspace, environment) = set_up()?;
            Err(replace_self_by(options.command(&workspace, &environment)?))
        }
        Some("export") => {
            let options = export::Options::parse(arguments.into_iter().skip(1))?;
            let workspace = Workspace::find()?;
            let environment = Environment::find_or_make(&workspace)?;
            Err(replace_self_by(options.command(&workspace, &environment)))
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
            let arguments = bench::parse(arguments.into_iter().skip(1))?;
            let (workspace, environment) = set_up()?;
            bench::run(arguments, &workspace, &environment)
        }
        _ => {
            jupyterlab::check(&arguments)?;
            let (workspace, environment) = set_up()?;
            jupyterlab::trust(&workspace, &environment);
            Err(replace_self_by(jupyterlab::command(&workspace, &environment, arguments)))
        }
    }
}

/// What to print for somebody who asks for help: on the command that is named, or on all of them.
fn help(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().map_while(|it| it.to_str()).take_while(|it| *it != "--");
    let first = words.next()?;
    let is_asked = |word: &str| matches!(word, "--help" | "-h");
    if first != "help" && !is_asked(first) && !words.clone().any(is_asked) {
        return None;
    }
    let of = |word| match word {
        "run" => Some(RUN),
        "export" => Some(EXPORT),
        "test" => Some(TEST),
        "bench" => Some(BENCH),
        _ => None,
    };
    let named = of(first).or_else(|| of(words.next()?));
    Some(named.map_or_else(|| [LAB, RUN, EXPORT, TEST, BENCH].join("\n"), str::to_owned))
}

/// Finds what the notebooks need and makes what is missing.
fn set_up() -> Result<(Workspace, Environment)> {
    let workspace = Workspace::find()?;
    let mut environment = Environment::find_or_make(&workspace)?;
    kernel::set_up(&workspace, &mut environment)?;
    Ok((workspace, environment))
}
