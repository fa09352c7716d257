//! `cargo lab test mac`: what can be known of macOS, and of threads on Windows, without having one. The
//! crate is checked for them, and a program and a notebook's cell are linked for macOS and looked into.

mod linked;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::linked::{Linked, Shape};
use self::tools::Tools;
use crate::problem::{Problem, Result};
use crate::workspace::{self, Workspace};

const MACS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
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

/// Checks and links, and takes what is to be fetched with Python's pip. `Ok(Err(..))` is why it could not be
/// done here.
pub(crate) fn check(
    workspace: &Workspace,
    python: Option<PathBuf>,
) -> Result<std::result::Result<Vec<String>, String>> {
    let tools = match Tools::find(workspace, python, &[MACS[0], MACS[1], WINDOWS])? {
        Ok(tools) => tools,
        Err(why) => return Ok(Err(why)),
    };
    for target in MACS {
        for package in ["joblab", "lab"] {
            let arguments = ["clippy", "--package", package, "--all-targets"];
            // The system's own locks are larger there, and so is an error.
            let lints = ["--", "-D", "warnings", "-A", "clippy::result-large-err"];
            run(
                tools.cargo(workspace.root(), target, &arguments).args(lints),
                &format!("{package} for {target}"),
            )?;
        }
    }
    // What only processes use is not used there.
    let arguments = ["check", "--package", "joblab", "--lib"];
    let mut windows = tools.cargo(workspace.root(), WINDOWS, &arguments);
    run(windows.arg("--quiet"), &format!("joblab for {WINDOWS}"))?;
    let folder = workspace.own("mac").join("linked");
    lay_out(workspace, &folder)?;
    let mut remarks = vec![format!("checked for {}", tools.target(WINDOWS))];
    for target in MACS {
        run(&mut tools.cargo(&folder, target, &["build"]), &format!("linking for {target}"))?;
        let built = tools.target_folder().join(target).join("debug");
        for (shape, name) in [(Shape::Program, "program"), (Shape::Cell, "libctx.dylib")] {
            remarks.push(Linked::read(&built.join(name))?.check(shape, target)?);
        }
    }
    Ok(Ok(remarks))
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

fn run(command: &mut Command, what: &str) -> Result<()> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Problem::new(format!("{what}: failed"))),
        Err(error) => Err(Problem::new(format!("{what}: {error}"))),
    }
}
