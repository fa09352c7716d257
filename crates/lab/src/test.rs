//! `cargo lab test`: everything that must hold before a change goes in.

mod report;

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use self::report::{Outcome, Report};
use crate::browser;
use crate::imports;
use crate::llvm_lines;
use crate::mac;
use crate::notebooks::Options;
use crate::package;
use crate::problem::{Problem, Result};
use crate::program;
use crate::python::Environment;
use crate::site;
use crate::workspace::Workspace;

/// The stages, in the order of what they cost. Cargo does those that have arguments.
const STAGES: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--check"]),
    (IMPORTS, &[]),
    (
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    ),
    ("docs", &["doc", "--workspace", "--no-deps"]),
    (LLVM_LINES, &[]),
    (MAC, &[]),
    (PACKAGE, &[]),
    (MSRV, &[]),
    (SEMVER, &[]),
    (LICENCES, &[]),
    (
        "tests",
        &["test", "--workspace", "--no-fail-fast", "--", "--include-ignored", "--skip", COSTS],
    ),
    // The same tests of processes where Linux does as macOS has to.
    (
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
    // Modules of this name compare times, which other tests beside them would disturb. All packages,
    // for cargo would build one alone with other features, and all of its tests anew.
    (
        "costs",
        &["test", "--workspace", "--tests", "--", "--include-ignored", "--test-threads=1", COSTS],
    ),
    // What the loop costs, and that it costs anything, depends on the optimiser.
    ("release", &["test", "--release", "--package", "joblab", "--lib"]),
    (SITE, &[]),
    (NOTEBOOKS, &[]),
    (BROWSER, &[]),
];
const COSTS: &str = "costs::";
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
/// What needs no kernel. The pages' check sees to Python's packages by itself, the others need none.
const OF_SOURCES: &[&str] =
    &["format", IMPORTS, "clippy", "docs", LLVM_LINES, MAC, PACKAGE, MSRV, SEMVER, LICENCES, SITE];
const NO_BROWSER: &str = "no Chromium and no Chrome on PATH, so nobody has seen what was drawn \
     (Debian: sudo apt install chromium, macOS: brew install --cask google-chrome)";

/// The stages that `cargo lab test` was asked for.
pub(crate) struct Stages(Vec<OsString>);

impl Stages {
    /// Reads the arguments after `test`: no stages are all stages.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let wanted: Vec<_> = arguments.into_iter().collect();
        match wanted.iter().find(|name| STAGES.iter().all(|(stage, _)| name != stage)) {
            Some(wrong) => {
                let names: Vec<_> = STAGES.iter().map(|(stage, _)| *stage).collect();
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
        STAGES.iter().any(|(name, _)| self.has(name) && !OF_SOURCES.contains(name))
    }

    /// Runs the stages; one that fails does not hide what the others find. The environment is there
    /// if they need it.
    pub(crate) fn run(
        self,
        workspace: &Workspace,
        environment: Option<&Environment>,
    ) -> Result<ExitCode> {
        let mut report = Report::default();
        let mut beside = None;
        for (name, arguments) in STAGES.iter().filter(|(name, _)| self.has(name)) {
            let started = Instant::now();
            let notebooks = || match environment {
                Some(environment) => Options::all_again().command(workspace, environment),
                None => Err(Problem::new("notebooks need a Python environment")),
            };
            if *name == NOTEBOOKS && self.has(BROWSER) {
                // Both leave half of the machine idle.
                let mut notebooks = notebooks()?;
                eprintln!("\n== {NOTEBOOKS} (beside the browser)");
                beside = Some((started, thread::spawn(move || status_of_lines(&mut notebooks))));
                continue;
            }
            eprintln!("\n== {name}");
            let outcome = match *name {
                NOTEBOOKS => status(&mut notebooks()?),
                BROWSER => look(workspace),
                IMPORTS => told(imports::check(&workspace.root().join("crates/joblab/src"))),
                LLVM_LINES => told(llvm_lines::check(workspace)),
                MAC => link(workspace, environment),
                SITE => read(workspace),
                PACKAGE => told(package::check(workspace)),
                MSRV => with_tool(package::check_msrv(workspace)),
                SEMVER => with_tool(package::check_semver(workspace)),
                LICENCES => with_tool(package::check_licences(workspace)),
                _ => status(&mut cargo(workspace, environment, name, arguments)),
            };
            report.note(name, started, outcome);
        }
        if let Some((started, notebooks)) = beside {
            report.note(NOTEBOOKS, started, notebooks.join().unwrap_or(Err(Outcome::Failed)));
        }
        Ok(report.end())
    }
}

/// Shows what a stage of our own has to say.
fn told(checked: Result<Vec<String>>) -> std::result::Result<(), Outcome> {
    match checked {
        Ok(remarks) => {
            remarks.iter().for_each(|remark| eprintln!("{remark}"));
            Ok(())
        }
        Err(problem) => {
            eprintln!("{problem}");
            Err(Outcome::Failed)
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
    }
    if name == "docs" {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
    }
    cargo
}

fn status(command: &mut Command) -> std::result::Result<(), Outcome> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Outcome::Failed),
    }
}

/// Runs a stage beside another one: each line that it prints is shown at once, with its name.
fn status_of_lines(command: &mut Command) -> std::result::Result<(), Outcome> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|_| Outcome::Failed)?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
        let line = line.map_err(|_| Outcome::Failed)?;
        eprintln!("{NOTEBOOKS}: {}", String::from_utf8_lossy(&line));
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Outcome::Failed),
    }
}

/// Looks at the notebooks in a browser. People may have none; where changes are accepted, one is
/// there.
fn look(workspace: &Workspace) -> std::result::Result<(), Outcome> {
    let Some(browser) = browser::find() else {
        return skipped(NO_BROWSER.to_owned());
    };
    match browser::command(workspace, &browser) {
        Ok(mut command) => status(&mut command),
        Err(problem) => {
            eprintln!("error: {problem}");
            Err(Outcome::Failed)
        }
    }
}

/// Checks texts and pages. Without a browser only what can be told from their files.
fn read(workspace: &Workspace) -> std::result::Result<(), Outcome> {
    let browser = browser::find();
    let commands = match site::commands(workspace, browser.as_deref()) {
        Ok(commands) => commands,
        Err(problem) => return told(Err(problem)),
    };
    if commands.map(|mut command| status(&mut command)).iter().any(std::result::Result::is_err) {
        return Err(Outcome::Failed);
    }
    browser.map_or_else(|| skipped(NO_BROWSER.to_owned()), |_| Ok(()))
}

/// Checks and links for other systems. People may have no network; where changes are accepted, there is
/// one.
fn link(
    workspace: &Workspace,
    environment: Option<&Environment>,
) -> std::result::Result<(), Outcome> {
    let python = environment.map(Environment::python);
    match mac::check(workspace, python.or_else(|| program::find("python3"))) {
        Ok(Ok(remarks)) => told(Ok(remarks)),
        Ok(Err(why)) => skipped(why),
        Err(problem) => told(Err(problem)),
    }
}

/// Shows what a stage has to say for which people need not have the tool, wherever they are.
fn with_tool(
    checked: Result<std::result::Result<Vec<String>, String>>,
) -> std::result::Result<(), Outcome> {
    match checked {
        Ok(Ok(remarks)) => told(Ok(remarks)),
        Ok(Err(why)) => Err(Outcome::Skipped(why)),
        Err(problem) => told(Err(problem)),
    }
}

/// Where changes are accepted, nothing of this is skipped.
fn skipped(why: String) -> std::result::Result<(), Outcome> {
    if is_ci() {
        eprintln!("error: {why}");
        return Err(Outcome::Failed);
    }
    Err(Outcome::Skipped(why))
}

/// Services that test changes set CI.
fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
