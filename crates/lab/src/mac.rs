//! `cargo lab test mac`: what can be known of macOS, and of threads on Windows, without having one. The
//! crate is checked for them, and a program and a notebook's cell are linked for macOS and looked into.

mod linked;
mod tools;

use std::ffi::OsString;
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
/// As evcxr has a cell built.
const OF_CELL: &[&str] = &["--crate-type=cdylib", "--crate-name=ctx", "-Copt-level=2"];

/// Checks and links. `Ok(Err(..))` is why it could not be done here.
pub(crate) fn check(workspace: &Workspace) -> Result<std::result::Result<Vec<String>, String>> {
    let tools = match Tools::find(workspace, &[MACS[0], MACS[1], WINDOWS])? {
        Ok(tools) => tools,
        Err(why) => return Ok(Err(why)),
    };
    for target in MACS {
        for package in ["joblab", "lab"] {
            let arguments = ["clippy", "--package", package, "--all-targets"];
            // The system's own locks are larger there, and so is an error.
            let lints = ["--", "-D", "warnings", "-A", "clippy::result-large-err"];
            run(tools.cargo(target, &arguments).args(lints), &format!("{package} for {target}"))?;
        }
    }
    // What only processes use is not used there.
    let arguments = ["check", "--package", "joblab", "--lib"];
    let mut windows = tools.cargo(WINDOWS, &arguments);
    run(windows.arg("--quiet"), &format!("joblab for {WINDOWS}"))?;
    let mut remarks = Vec::new();
    for target in MACS {
        let arguments = ["build", "--package", "joblab", "--lib"];
        run(&mut tools.cargo(target, &arguments), &format!("joblab for {target}"))?;
        for (shape, source) in [(Shape::Program, PROGRAM), (Shape::Cell, CELL)] {
            let file = link(workspace, &tools, target, shape, source)?;
            remarks.push(Linked::read(&file)?.check(shape, target)?);
        }
    }
    Ok(Ok(remarks))
}

/// Compiles a source with the library, and links it.
fn link(
    workspace: &Workspace,
    tools: &Tools,
    target: &str,
    shape: Shape,
    source: &str,
) -> Result<PathBuf> {
    let folder = workspace.own("mac").join(target);
    let (name, options) = match shape {
        Shape::Program => ("program", &["-Copt-level=2"][..]),
        Shape::Cell => ("libctx.dylib", OF_CELL),
    };
    let (file, code) = (folder.join(name), folder.join(format!("{name}.rs")));
    workspace::write(&code, source)?;
    let built = tools.target_folder().join(target).join("debug");
    let mut rustc = tools.rustc(target);
    if shape == Shape::Cell && !tools.builds_std(target) {
        rustc.arg("-Cprefer-dynamic");
    }
    rustc.arg("--edition=2024").args(options).arg(&code).arg("-o").arg(&file);
    rustc.arg("--extern").arg(joined("joblab=", &built.join("libjoblab.rlib")));
    rustc.arg("-L").arg(joined("dependency=", &built.join("deps")));
    run(&mut rustc, &format!("linking {}", file.display()))?;
    Ok(file)
}

fn joined(word: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(word);
    joined.push(path);
    joined
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Problem::new(format!("{what}: failed"))),
        Err(error) => Err(Problem::new(format!("{what}: {error}"))),
    }
}
