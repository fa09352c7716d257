//! `cargo lab test mac`: what can be known of macOS, and of threads on Windows, without having one. The
//! crate is checked for them, and a program and a notebook's cell are linked for macOS and looked into.

mod linked;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use self::linked::{Linked, Shape};
use self::tools::Tools;
use crate::problem::{Problem, Result};
use crate::workspace::{self, Workspace};

const MACS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
/// How long all of it may take, with what is fetched. A command that hangs is stopped, and one on a machine
/// that is busy is not.
const MOST: Duration = Duration::from_secs(20 * 60);
/// How often it is looked whether a command has ended.
const TICK: Duration = Duration::from_millis(20);
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// A program of a user's.
const PROGRAM: &str = "fn main() {
    let parallel = joblab::Parallel::new(2).backend(joblab::Backend::Multiprocessing);
    println!(\"{:?}\", parallel.map(|n: u64| n + 1, [1, 2, 3]).unwrap().results);
}";
/// What evcxr makes of a cell: its function, by the name under which its runtime looks for it.
const CELL: &str = "#[unsafe(no_mangle)]
pub extern \"C\" fn run_user_code_0(_: *mut std::ffi::c_void) -> *mut std::ffi::c_void {
    let parallel = joblab::Parallel::new(2).backend(joblab::Backend::Multiprocessing);
    println!(\"{:?}\", parallel.map(|n: u64| joblab::with_gil(|| n + 1), [1, 2, 3]).unwrap().results);
    std::ptr::null_mut()
}";
/// A workspace of both, built as evcxr builds cells.
const WORKSPACE: &str = "[workspace]
members = [\"program\", \"cell\"]
resolver = \"3\"
[profile.dev]
opt-level = 2
";

/// Why the stage ended before its end.
enum Stop {
    Failed(Problem),
    /// Why it could not be done here.
    Undone(String),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// Checks and links, and takes what is to be fetched with Python's pip. `Ok(Err(..))` is why it could not be
/// done here.
pub(crate) fn check(
    workspace: &Workspace,
    python: Option<PathBuf>,
) -> Result<std::result::Result<Vec<String>, String>> {
    match check_all(workspace, python, &Limit::of(MOST)) {
        Ok(remarks) => Ok(Ok(remarks)),
        Err(Stop::Undone(why)) => Ok(Err(why)),
        Err(Stop::Failed(problem)) => Err(problem),
    }
}

fn check_all(
    workspace: &Workspace,
    python: Option<PathBuf>,
    limit: &Limit,
) -> std::result::Result<Vec<String>, Stop> {
    let tools = Tools::find(workspace, python, &[MACS[0], MACS[1], WINDOWS])?;
    let tools = tools.map_err(Stop::Undone)?;
    for target in MACS {
        for package in ["joblab", "lab"] {
            let arguments = ["clippy", "--package", package, "--all-targets"];
            // The system's own locks are larger there, and so is an error.
            let lints = ["--", "-D", "warnings", "-A", "clippy::result-large-err"];
            let mut clippy = tools.cargo(workspace.root(), target, &arguments);
            limit.run(clippy.args(lints), &format!("{package} for {target}"))?;
        }
    }
    // What only processes use is not used there.
    let arguments = ["check", "--package", "joblab", "--lib"];
    let mut windows = tools.cargo(workspace.root(), WINDOWS, &arguments);
    limit.run(windows.arg("--quiet"), &format!("joblab for {WINDOWS}"))?;
    let mut lab = tools.cargo(workspace.root(), WINDOWS, &["check", "--quiet", "--package", "lab"]);
    names_wsl(&lab.output().map_err(|error| Problem::new(format!("cargo: {error}")))?.stderr)?;
    let folder = workspace.own("mac").join("linked");
    lay_out(workspace, &folder)?;
    let mut remarks = vec![format!("checked for {}", tools.target(WINDOWS))];
    for target in MACS {
        let mut build = tools.cargo(&folder, target, &["build"]);
        limit.run(&mut build, &format!("linking for {target}"))?;
        let built = tools.target_folder().join(target).join("debug");
        for (shape, name) in [(Shape::Program, "program"), (Shape::Cell, "libctx.dylib")] {
            remarks.push(Linked::read(&built.join(name))?.check(shape, target)?);
        }
    }
    Ok(remarks)
}

/// What the compiler says of `cargo lab` on Windows has to name what helps.
fn names_wsl(said: &[u8]) -> Result<()> {
    let said = String::from_utf8_lossy(said);
    match said.contains("call it in WSL") {
        true => Ok(()),
        false => Err(Problem::new(format!("`cargo lab` for {WINDOWS} does not name WSL:\n{said}"))),
    }
}

/// Writes the workspace of a program and a cell.
fn lay_out(workspace: &Workspace, folder: &Path) -> Result<()> {
    let joblab = workspace.root().join("crates/joblab");
    let manifest = |name: &str, more: &str| {
        format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n{more}[dependencies]\n\
             joblab = {{ path = '{}' }}\n",
            joblab.display()
        )
    };
    let library = "[lib]\ncrate-type = [\"cdylib\"]\n";
    for (name, text) in [
        ("Cargo.toml", WORKSPACE.to_owned()),
        ("program/Cargo.toml", manifest("program", "")),
        ("program/src/main.rs", PROGRAM.to_owned()),
        ("cell/Cargo.toml", manifest("ctx", library)),
        ("cell/src/lib.rs", CELL.to_owned()),
    ] {
        workspace::write(&folder.join(name), &text)?;
    }
    // The versions that all else is built with.
    let copied = fs::copy(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"));
    copied.map_err(|error| Problem::new(format!("Cargo.lock cannot be copied: {error}")))?;
    Ok(())
}

/// The time that all of it may take.
struct Limit {
    begun: Instant,
    most: Duration,
}

impl Limit {
    fn of(most: Duration) -> Self {
        Self { begun: Instant::now(), most }
    }

    /// Runs a command, and stops it when time is up.
    fn run(&self, command: &mut Command, what: &str) -> std::result::Result<(), Stop> {
        let failed = |how: String| Stop::Failed(Problem::new(format!("{what}: {how}")));
        let started = command.stdin(Stdio::null()).spawn();
        let mut child = started.map_err(|error| failed(error.to_string()))?;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(_)) => return Err(failed("failed".to_owned())),
                Err(error) => return Err(failed(error.to_string())),
                Ok(None) if self.begun.elapsed() < self.most => thread::sleep(TICK),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Stop::Undone(format!(
                        "it is not through after {:?}, and was stopped at: {what}",
                        self.most
                    )));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(limit: &Limit, script: &str) -> String {
        match limit.run(Command::new("/bin/sh").args(["-c", script]), "a step") {
            Ok(()) => "done".to_owned(),
            Err(Stop::Failed(problem)) => problem.to_string(),
            Err(Stop::Undone(why)) => why,
        }
    }

    #[test]
    fn what_takes_too_long_is_stopped_and_named() {
        let long = Limit::of(Duration::from_secs(3600));
        assert_eq!((&*run(&long, "true"), &*run(&long, "exit 3")), ("done", "a step: failed"));
        let over = Limit::of(Duration::from_millis(1));
        let said = run(&over, "exec sleep 600");
        assert!(said.contains("not through after 1ms") && said.ends_with(": a step"), "{said}");
        assert!(over.begun.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn windows_is_told_of_wsl() {
        assert!(
            names_wsl(b"error: `cargo lab` needs Linux or macOS: on Windows, call it in WSL")
                .is_ok()
        );
        let error = names_wsl(b"error: cannot find `unix`").unwrap_err().to_string();
        assert!(error.contains("does not name WSL:\nerror: cannot find"), "{error}");
    }
}
