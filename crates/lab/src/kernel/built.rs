//! The folder in which the notebooks' crates are built, so that a kernel starts with a copy of it.
//! What is in it, and how a kernel comes by its copy, stands in `launcher.py`.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use super::{PART, versions};
use crate::problem::Result;
use crate::program;
use crate::python::Environment;
use crate::say;
use crate::workspace::{Workspace, script};

/// What cargo and rustc read of the environment, but for what evcxr sets itself.
const SETTINGS: &[&str] = &["CARGO_PROFILE_DEV_", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL"];
const WRAPPERS: &[&str] = &["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];

/// The crate that every lesson starts with, by a path that is its own wherever links lead to it.
fn crate_of(workspace: &Workspace) -> PathBuf {
    let path = workspace.root().join("crates").join("joblab");
    fs::canonicalize(&path).unwrap_or(path)
}

/// Where it is: one for each place where the crate is, for cargo tells crates apart by that, outside
/// of the workspace, in which no kernel could start, and where nobody tidies up behind us.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    let cache = named.or_else(|| Some(env::home_dir()?.join(usual)));
    let cache = cache.unwrap_or_else(env::temp_dir);
    cache.join("joblab").join(format!("{:016x}", hash(&crate_of(workspace))))
}

/// Builds it, unless what is there was made of the same. Without it all works, but slower.
pub(super) fn set_up(
    workspace: &Workspace,
    environment: &mut Environment,
    kernel: &Path,
) -> Result<()> {
    let dependencies = versions::dependencies(workspace);
    if dependencies.is_empty() {
        return Ok(());
    }
    let versions = versions::find(workspace, &dependencies)?;
    if versions.is_offline {
        say::state("network", "cargo's registry does not answer: cells use crates that are here");
        environment.go_offline();
    }
    let folder = folder(workspace);
    let stamp = stamp(workspace, environment, kernel, &dependencies, &versions.lock);
    match fs::read_to_string(folder.join("built").join("stamp")) {
        Ok(found) if found == stamp => return Ok(()),
        Ok(found) => {
            say::state(PART, &format!("building the crates anew: {}", change(&found, &stamp)))
        }
        Err(_) => {
            say::state(PART, "building the notebooks' crates, which takes about half a minute")
        }
    }
    let mut python = environment.script(&script!(workspace, "kernel/build.py"));
    python.arg(&folder).arg(crate_of(workspace)).args(workspace.notebooks());
    let done = python.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().and_then(|mut child| {
        // A build that fails at once does not read it.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(stamp.as_bytes()));
        child.wait()
    });
    if !done.is_ok_and(|status| status.success()) {
        say::warning("the crates could not be built beforehand, so each kernel builds them itself");
    }
    Ok(())
}

/// Of what it is made, a line for each kind of thing.
fn stamp(
    workspace: &Workspace,
    environment: &Environment,
    kernel: &Path,
    dependencies: &[String],
    lock: &str,
) -> String {
    let mut stamp = String::new();
    let mut add = |what: &str, hash: u64| {
        let _ = writeln!(stamp, "{what}: {hash:016x}");
    };
    let mut sources = Vec::new();
    for name in ["src", "Cargo.toml", "README.md", "../derive", "../../Cargo.toml"] {
        note_files(&crate_of(workspace).join(name), &mut sources);
    }
    sources.sort();
    add("the crate", hash(&sources));
    add("the compiler", hash(&program::output("rustc", ["-vV"])));
    add("evcxr", hash(&(kernel, note(kernel))));
    let mut settings: BTreeMap<_, _> = env::vars_os().collect();
    for (name, value) in environment.command().get_envs() {
        settings.insert(name.to_owned(), value.unwrap_or_default().to_owned());
    }
    settings.retain(|name, _| {
        let name = name.to_string_lossy();
        SETTINGS.iter().any(|it| name.starts_with(it)) || WRAPPERS.contains(&&*name)
    });
    add("settings", hash(&settings));
    add("the notebooks' `:dep` lines", hash(&dependencies));
    add("crates of the registry", hash(&lock));
    stamp
}

/// What cargo judges a source by: that it was written, not what it says.
type Note = (PathBuf, u64, SystemTime);

fn note(path: &Path) -> Option<Note> {
    let data = fs::metadata(path).ok()?;
    Some((path.to_owned(), data.len(), data.modified().ok()?))
}

fn note_files(path: &Path, notes: &mut Vec<Note>) {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| note_files(&entry.path(), notes)),
        Err(_) => notes.extend(note(path)),
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What has changed from one stamp to the other.
fn change(old: &str, new: &str) -> String {
    let new = new.lines().filter(|line| old.lines().all(|other| other != *line));
    let what: Vec<_> = new.filter_map(|line| line.split(": ").next()).collect();
    format!("{} changed", what.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_named() {
        let old = "the crate: 01\nthe compiler: 02\nevcxr: 03\n";
        let new = "the crate: 01\nthe compiler: 04\nevcxr: 05\n";
        assert_eq!(change(old, new), "the compiler, evcxr changed");
    }
}
