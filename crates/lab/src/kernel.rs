//! The Rust kernel: evcxr_jupyter, what it needs of the toolchain, and its place in Jupyter.

mod built;
mod spec;
mod versions;

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::notebooks;
use crate::problem::{Problem, Result};
use crate::program::{self, Step};
use crate::python::Environment;
use crate::say;
use crate::workspace::{self, Workspace};

const PART: &str = "Rust kernel";
const NAME: &str = "evcxr_jupyter";
/// The version that is installed where there is none.
const VERSION: &str = "0.22.0";

/// Makes sure that the environment has a Rust kernel that runs cells, and that what notebooks depend
/// on is built.
pub(crate) fn set_up(workspace: &Workspace, environment: &mut Environment) -> Result<()> {
    let kernel = match find() {
        Some(kernel) => kernel,
        None => install(workspace)?,
    };
    let kernel = fs::canonicalize(&kernel).unwrap_or(kernel);
    say::state(PART, &kernel.display().to_string());
    let has_std_sources = find_or_add_std_sources();
    let stamp = workspace.own("kernel.txt");
    let identity = identity(environment, &kernel, has_std_sources);
    let is_checked = fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == identity);
    spec::register(&kernel, &built::folder(workspace), environment)?;
    if !is_checked {
        check(workspace, environment, &kernel, has_std_sources)?;
        workspace::write(&stamp, &identity)?;
    }
    built::set_up(workspace, environment, &kernel)
}

fn find() -> Option<PathBuf> {
    program::find(NAME).or_else(|| program::find(install_folder()?.join(NAME)))
}

/// Where `cargo install` puts programs.
fn install_folder() -> Option<PathBuf> {
    let root = env::var_os("CARGO_INSTALL_ROOT").or_else(|| env::var_os("CARGO_HOME"));
    let root = root.map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    Some(root?.join("bin"))
}

/// Builds evcxr_jupyter. The build's folder stays until it is done, so that a build that was
/// interrupted goes on where it stopped.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let linker = linker();
    if program::find(&linker).is_none() {
        return Err(Problem::new(format!(
            "no C linker was found (`{}`), and Rust needs one: install it \
             (Debian: sudo apt install build-essential, macOS: xcode-select --install), \
             then call again",
            linker.display()
        )));
    }
    if let Some(kernel) = fetch() {
        return Ok(kernel);
    }
    let build = workspace.own("build");
    let step = Step {
        name: "installing evcxr_jupyter",
        folder: workspace.root(),
        megabytes: 2000,
        remedy: "The network may be the cause, or a compiler that is too old (`rustup update`). \
                 Call again: the build goes on where it stopped.",
    };
    step.check_room()?;
    say::state(PART, &format!("building {NAME} {VERSION}, which takes 5 to 10 minutes, once"));
    let mut command = program::cargo();
    // What was fetched and does not run counts as installed.
    command.args(["install", "--locked", "--force", NAME, "--version", VERSION]);
    step.run(command.env("CARGO_TARGET_DIR", &build))?;
    // What is left over only costs room.
    let _ = fs::remove_dir_all(&build);
    find().ok_or_else(|| {
        Problem::new(format!(
            "cargo installed {NAME}, but not where it was looked for: put it on PATH"
        ))
    })
}

/// Fetches the program that evcxr's authors released, where the means are there: `None` if that did
/// not give one that runs.
fn fetch() -> Option<PathBuf> {
    program::find("cargo-binstall")?;
    say::state(PART, &format!("fetching {NAME} {VERSION} with cargo binstall"));
    let fetched = program::cargo()
        // Nobody else's program, and no build, which is ours to do.
        .args(["binstall", "--no-confirm", "--strategies", "crate-meta-data"])
        .arg(format!("{NAME}@{VERSION}"))
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status();
    let kernel = fetched.is_ok_and(|status| status.success()).then(find).flatten();
    let kernel = kernel.filter(|kernel| program::output(kernel, ["--help"]).is_some());
    if kernel.is_none() {
        say::warning("cargo binstall gave no evcxr_jupyter that runs here, so it is built");
    }
    kernel
}

/// The linker that cargo was told to use, or rustc's own choice.
fn linker() -> PathBuf {
    env::vars_os()
        .find(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER")
        })
        .map_or_else(|| "cc".into(), |(_, linker)| linker.into())
}

/// Looks for the sources of std, from which the kernel infers the types of variables, and lets
/// rustup fetch them once if they are missing.
fn find_or_add_std_sources() -> bool {
    let present = || {
        program::output("rustc", ["--print", "sysroot"])
            .is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library/std").is_dir())
    };
    if present() {
        return true;
    }
    if program::find("rustup").is_some() {
        say::state("rust-src", "adding it with rustup");
        // Whether it worked is seen below.
        let _ = Command::new("rustup").args(["component", "add", "rust-src"]).status();
    }
    let added = present();
    if !added {
        say::warning(
            "the toolchain has no rust-src, so a cell's `let` needs its type written out; \
             remedy: rustup component add rust-src",
        );
    }
    added
}

/// Runs a cell in the kernel.
fn check(
    workspace: &Workspace,
    environment: &Environment,
    kernel: &Path,
    has_std_sources: bool,
) -> Result<()> {
    say::state(PART, "running a first cell, which takes some seconds");
    let notebook = workspace.own("first-cell.ipynb");
    let cell = if has_std_sources {
        "let words = \\\"a b\\\".split(' ').count();\\nprintln!(\\\"{words}\\\");"
    } else {
        "println!(\\\"2\\\");"
    };
    workspace::write(&notebook, &notebook_of(cell))?;
    let output = notebooks::runner(workspace, environment)
        .arg(&notebook)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Problem::new(format!("cannot run the environment's Python: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(Problem::new(format!(
        "the kernel {} does not run cells; its words are above. {}",
        kernel.display(),
        remedy()
    )))
}

/// What the outcome of the check depends on.
fn identity(environment: &Environment, kernel: &Path, has_std_sources: bool) -> String {
    let mut identity = format!("{}\n{}\n", kernel.display(), environment.python().display());
    let _ = writeln!(identity, "{}", program_identity(kernel));
    let compiler = program::output("rustc", ["-V"]).unwrap_or_default();
    let _ = writeln!(identity, "{compiler}\nrust-src: {has_std_sources}");
    identity
}

/// Tells one evcxr from another in the same place.
fn program_identity(kernel: &Path) -> String {
    fs::metadata(kernel).map_or_else(
        |error| error.to_string(),
        |data| format!("{} bytes, {:?}", data.len(), data.modified()),
    )
}

fn notebook_of(cell: &str) -> String {
    format!(
        r#"{{"cells": [{{"cell_type": "code", "execution_count": null, "id": "first", "metadata": {{}},
"outputs": [], "source": "{cell}"}}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}"#
    )
}

/// An evcxr cannot read the sources of a std that is much newer than itself.
fn remedy() -> String {
    let installed = program::cargo().args(["install", "--list"]).output().ok();
    let list = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match list.as_deref().and_then(installed_version) {
        Some(version) if number(version) < number(VERSION) => format!(
            "It is {NAME} {version}, which may be too old for the compiler: \
             cargo install --locked --force {NAME}"
        ),
        _ => format!(
            "Kernel and compiler may not fit each other: rustup update, and \
             cargo install --locked --force {NAME}"
        ),
    }
}

/// Reads the version from what `cargo install --list` prints: `evcxr_jupyter v0.21.0:`.
fn installed_version(list: &str) -> Option<&str> {
    let line = list.lines().find(|line| line.starts_with(NAME))?;
    line[NAME.len()..].trim_start().strip_prefix('v')?.split([':', ' ']).next()
}

fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_version_is_read_from_cargos_list() {
        let list = "bat v1.0.0:\n    bat\nevcxr_jupyter v0.21.1:\n    evcxr_jupyter\n";
        assert_eq!(installed_version(list), Some("0.21.1"));
        assert_eq!(installed_version("bat v1.0.0:\n    bat\n"), None);
        assert_eq!(installed_version("evcxr_jupyter v0.9.0 (/a/path):\n"), Some("0.9.0"));
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(number("0.9.0") < number("0.22.0"));
        assert!(number("0.22.0") == number(VERSION));
    }
}
