//! `cargo lab test`: everything that must hold before a change goes in.

mod report;

use std::cell::LazyCell;
use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use self::report::{Outcome, Report};
use crate::browser;
use crate::imports;
use crate::llvm_lines;
use crate::mac;
use crate::notebooks::Options;
use crate::package::{self, Checked, Package};
use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::site;
use crate::workspace::Workspace;

/// What runs one after another, beside the other lane: neither keeps two CPUs busy by itself.
#[derive(Clone, Copy, PartialEq)]
enum Lane {
    /// What is built and tested.
    Crates,
    /// What runs the notebooks.
    Notebooks,
    /// What compares times, after both.
    Alone,
}

type Ended = std::result::Result<(), Outcome>;

/// The stages of each lane, in the order of what they cost. Cargo does those that have arguments.
const STAGES: &[(Lane, &str, &[&str])] = &[
    (Lane::Crates, "format", &["fmt", "--all", "--check"]),
    (Lane::Crates, IMPORTS, &[]),
    (
        Lane::Crates,
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    ),
    (Lane::Crates, "docs", &["doc", "--workspace", "--no-deps"]),
    (Lane::Crates, LLVM_LINES, &[]),
    (Lane::Crates, MAC, &[]),
    (Lane::Crates, PACKAGE, &[]),
    (Lane::Crates, MSRV, &[]),
    (Lane::Crates, SEMVER, &[]),
    (Lane::Crates, LICENCES, &[]),
    // The same tests of processes where Linux does as macOS has to.
    (
        Lane::Crates,
        PORTABLE,
        &[
            "test",
            "--package",
            "joblab",
            "--lib",
            "--test",
            "it",
            "--no-fail-fast",
            "--",
            "--skip",
            "dask::",
        ],
    ),
    // What the loop costs, and that it costs anything, depends on the optimiser.
    (Lane::Crates, "release", &["test", "--release", "--package", "joblab", "--test", "tutorial"]),
    // What the crate's own tests, which the package has, leave.
    (
        Lane::Crates,
        "tests",
        &[
            "test",
            "--workspace",
            "--exclude",
            "joblab",
            "--no-fail-fast",
            "--",
            "--include-ignored",
        ],
    ),
    (Lane::Crates, SITE, &[]),
    (Lane::Notebooks, NOTEBOOKS, &[]),
    (Lane::Notebooks, BROWSER, &[]),
    (Lane::Alone, COSTS, &[]),
];
const IMPORTS: &str = "imports";
const LLVM_LINES: &str = "llvm-lines";
const MAC: &str = "mac";
const PACKAGE: &str = "package";
const MSRV: &str = "msrv";
const SEMVER: &str = "semver";
const LICENCES: &str = "licences";
const PORTABLE: &str = "portable";
const SITE: &str = "site";
const NOTEBOOKS: &str = "notebooks";
const BROWSER: &str = "browser";
const COSTS: &str = "costs";
/// What needs no kernel. The pages' check sees to Python's packages by itself, the others need none.
const OF_SOURCES: &[&str] =
    &["format", IMPORTS, "clippy", "docs", LLVM_LINES, MAC, MSRV, SEMVER, LICENCES, SITE];
const NO_BROWSER: &str = "no Chromium and no Chrome on PATH, so nobody has seen what was drawn \
     (Debian: sudo apt install chromium, macOS: brew install --cask google-chrome)";

/// The stages that `cargo lab test` was asked for.
pub(crate) struct Stages(Vec<OsString>);

impl Stages {
    /// Reads the arguments after `test`: no stages are all stages.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let wanted: Vec<_> = arguments.into_iter().collect();
        match wanted.iter().find(|name| STAGES.iter().all(|(_, stage, _)| name != stage)) {
            Some(wrong) => {
                let names: Vec<_> = STAGES.iter().map(|(_, stage, _)| *stage).collect();
                Err(Problem::new(format!(
                    "`cargo lab test` has no stage {}; it has {}",
                    wrong.display(),
                    names.join(", ")
                )))
            }
            None => Ok(Self(wanted)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| wanted == name)
    }

    /// Whether a kernel and Python's packages have to be there.
    pub(crate) fn need_set_up(&self) -> bool {
        STAGES.iter().any(|(_, name, _)| self.has(name) && !OF_SOURCES.contains(name))
    }

    /// Runs the stages; one that fails does not hide what the others find. The environment is there
    /// if they need it.
    pub(crate) fn run(
        self,
        workspace: &Workspace,
        environment: Option<&Environment>,
    ) -> Result<ExitCode> {
        let report = Mutex::new(Report::default());
        let python = environment.map(Environment::python);
        let package = LazyCell::new(|| Package::unpack(workspace, python));
        let run = |lane, stage: &dyn Fn(&str, &[&str]) -> Ended| {
            let of_lane = |(of, name, _): &&(Lane, &str, &[&str])| *of == lane && self.has(name);
            for (_, name, arguments) in STAGES.iter().filter(of_lane) {
                let started = Instant::now();
                eprintln!("\n== {name}");
                let outcome = stage(name, arguments);
                report.lock().unwrap_or_else(PoisonError::into_inner).note(name, started, outcome);
            }
        };
        let in_package = |check: fn(&Package) -> Checked| match &*package {
            Ok(package) => with_tool(check(package)),
            Err(problem) => Err(Outcome::Failed(problem.clone())),
        };
        thread::scope(|scope| {
            // These say the name of their stage in each line.
            scope.spawn(|| {
                run(Lane::Notebooks, &|name, _| match environment {
                    Some(environment) if name == NOTEBOOKS => rerun(workspace, environment),
                    _ => look(workspace),
                });
            });
            run(Lane::Crates, &|name, arguments| match name {
                IMPORTS => told(imports::check(&workspace.root().join("crates/joblab/src"))),
                LLVM_LINES => told(llvm_lines::check(workspace)),
                MAC => link(workspace, environment),
                PACKAGE => in_package(Package::check),
                MSRV => in_package(Package::check_msrv),
                SEMVER => with_tool(package::check_semver(workspace)),
                LICENCES => with_tool(package::check_licences(workspace)),
                SITE => read(workspace),
                _ => status(name, Ok(cargo(workspace, environment, name, arguments))),
            });
        });
        run(Lane::Alone, &|_, _| in_package(Package::check_costs));
        Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner).end())
    }
}

/// Shows what a stage of our own has to say.
fn told(checked: Result<Vec<String>>) -> Ended {
    match checked {
        Ok(remarks) => {
            remarks.iter().for_each(|remark| eprintln!("{remark}"));
            Ok(())
        }
        Err(problem) => {
            eprintln!("{problem}");
            Err(Outcome::Failed(problem))
        }
    }
}

fn cargo(
    workspace: &Workspace,
    environment: Option<&Environment>,
    name: &str,
    arguments: &[&str],
) -> Command {
    let mut cargo = program::cargo();
    cargo.args(arguments).current_dir(workspace.root());
    if let Some(environment) = environment {
        // The tests of Dask need its package.
        cargo.env("JOBLAB_PYTHON", environment.python());
    }
    if name == PORTABLE {
        let flags = env::var("RUSTFLAGS").unwrap_or_default() + " --cfg joblab_portable";
        // Apart from what is built without it.
        let folder = workspace.root().join("target").join(PORTABLE);
        cargo.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", folder);
        cargo.env("RUST_TEST_THREADS", program::test_threads());
    }
    if name == "docs" {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
    }
    cargo
}

/// Runs a stage's command.
fn status(stage: &str, command: Result<Command>) -> Ended {
    let done = command.and_then(|mut command| program::watch(stage, &mut command));
    done.map_err(Outcome::Failed)
}

/// Runs the notebooks, and their cells again.
fn rerun(workspace: &Workspace, environment: &Environment) -> Ended {
    status(NOTEBOOKS, Options::all_again().command(workspace, environment))
}

/// Looks at the notebooks in a browser. People may have none; where changes are accepted, one is
/// there.
fn look(workspace: &Workspace) -> Ended {
    let Some(browser) = browser::find() else {
        return skipped(NO_BROWSER.to_owned());
    };
    status(BROWSER, browser::command(workspace, &browser))
}

/// Checks texts and pages. Without a browser only what can be told from their files.
fn read(workspace: &Workspace) -> Ended {
    let browser = browser::find();
    let commands = site::commands(workspace, browser.as_deref()).map_err(Outcome::Failed)?;
    // One that fails does not hide what the others find.
    let done = commands.map(|mut command| program::watch(SITE, &mut command));
    let found: Vec<_> = done.into_iter().filter_map(Result::err).map(|it| it.to_string()).collect();
    if !found.is_empty() {
        return Err(Outcome::Failed(Problem::new(found.join("\n\n"))));
    }
    browser.map_or_else(|| skipped(NO_BROWSER.to_owned()), |_| Ok(()))
}

/// Checks and links for other systems. People may have no network; where changes are accepted, there is
/// one.
fn link(workspace: &Workspace, environment: Option<&Environment>) -> Ended {
    let python = environment.map(Environment::python);
    match mac::check(workspace, python.or_else(|| program::find("python3"))) {
        Ok(Ok(remarks)) => told(Ok(remarks)),
        Ok(Err(why)) => skipped(why),
        Err(problem) => told(Err(problem)),
    }
}

/// Shows what a stage has to say for which people need not have the tool, wherever they are.
fn with_tool(checked: Checked) -> Ended {
    match checked {
        Ok(Ok(remarks)) => told(Ok(remarks)),
        Ok(Err(why)) => Err(Outcome::Skipped(why)),
        Err(problem) => told(Err(problem)),
    }
}

/// Where changes are accepted, nothing of this is skipped.
fn skipped(why: String) -> Ended {
    if is_ci() {
        return Err(Outcome::Failed(Problem::new(why)));
    }
    Err(Outcome::Skipped(why))
}

/// Services that test changes set CI.
fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
