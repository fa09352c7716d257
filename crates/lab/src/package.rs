//! `cargo lab test package` and its neighbours: the crate as others get it. It is packaged and unpacked
//! outside of the workspace, and has to build and to pass its tests there; also what it promises of old
//! versions, of Rust and of itself, and of licences.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::problem::{Problem, Result};
use crate::program;
use crate::workspace::Workspace;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The oldest Rust, by Cargo.toml.
const MSRV: &str = env!("CARGO_PKG_RUST_VERSION");
/// What a package needs, though it builds without.
const FILES: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];
/// What may stand at its top beside these, and cargo's own files.
const OTHERS: [&str; 4] = ["src", "examples", "tests", "JOBLIB.md"];
const ALL: &str = "--all-features";
const NONE: &str = "--no-default-features";
/// Modules of this name compare times, which other tests beside them would disturb.
const COSTS: &str = "costs::";
/// A stage's remarks, or why it could not be done here.
pub(crate) type Checked = Result<std::result::Result<Vec<String>, String>>;

/// The targets that a manifest tells docs.rs to document.
fn documented(manifest: &str) -> impl Iterator<Item = &str> {
    let list = manifest.lines().find_map(|line| line.strip_prefix("targets = "));
    list.unwrap_or_default().split('"').skip(1).step_by(2)
}

/// Compares what the crate offers with its last release.
pub(crate) fn check_semver(workspace: &Workspace) -> Checked {
    if program::find("cargo-semver-checks").is_none() {
        return Ok(Err(
            "there is no cargo-semver-checks (cargo install cargo-semver-checks)".into()
        ));
    }
    let root = workspace.root().as_os_str();
    let tags = ["describe", "--tags", "--abbrev=0", "--match", "v*"].map(AsRef::as_ref);
    let Some(tag) = program::output("git", ["-C".as_ref(), root].into_iter().chain(tags)) else {
        return Ok(Err("no release to compare with: no tag begins with v".into()));
    };
    let arguments =
        ["semver-checks", "--package", "joblab", "--all-features", "--baseline-rev", &tag];
    program::watch("semver", program::cargo().args(arguments).current_dir(workspace.root()))?;
    Ok(Ok(vec![format!("compared with {tag}")]))
}

/// Looks at the licences of what the crate depends on.
pub(crate) fn check_licences(workspace: &Workspace) -> Checked {
    if program::find("cargo-deny").is_none() {
        return Ok(Err("there is no cargo-deny (cargo install cargo-deny)".into()));
    }
    let arguments = ["deny", "--all-features", "--config", ".cargo/deny.toml", "check", "licenses"];
    program::watch("licences", program::cargo().args(arguments).current_dir(workspace.root()))?;
    Ok(Ok(Vec::new()))
}

/// The packaged crates, unpacked; they are removed in the end.
pub(crate) struct Package {
    folder: PathBuf,
    target_folder: PathBuf,
    /// For the tests of Dask, which need its package.
    python: Option<PathBuf>,
}

impl Package {
    /// Packages the crates as they are, committed or not.
    pub(crate) fn unpack(workspace: &Workspace, python: Option<PathBuf>) -> Result<Self> {
        let mut package = program::cargo();
        package.args(["package", "--package", "joblab-derive", "--package", "joblab"]);
        package.args(["--allow-dirty", "--no-verify", "--quiet"]).current_dir(workspace.root());
        // Where what is built goes is the user's choice; this has to be found.
        let target_folder = workspace.root().join("target");
        program::watch("cargo package", package.arg("--target-dir").arg(&target_folder))?;
        // One name for each workspace: cargo would keep what it has built for each other one.
        let mut hasher = DefaultHasher::new();
        workspace.root().hash(&mut hasher);
        let folder = env::temp_dir().join(format!("joblab-package-{:016x}", hasher.finish()));
        let _ = fs::remove_dir_all(&folder);
        let made = fs::create_dir_all(&folder);
        made.map_err(|why| Problem::new(format!("cannot make {}: {why}", folder.display())))?;
        for name in ["joblab-derive", "joblab"] {
            let file = target_folder.join(format!("package/{name}-{VERSION}.crate"));
            let mut tar = Command::new("tar");
            // The dates in a package are of long ago, and cargo would take an older build for newer.
            tar.arg("-xzmf").arg(file).arg("-C").arg(&folder);
            program::watch("tar", &mut tar)?;
        }
        Ok(Package { folder, target_folder: target_folder.join("package-tests"), python })
    }

    /// Builds and tests the crate, and documents it as docs.rs will. Without default features it is built
    /// and its documentation tested: what remains is the same.
    pub(crate) fn check(&self) -> Checked {
        // Tests tell of no warnings, and the stage `clippy` has all features.
        let clippy = ["clippy", "--all-targets", "--no-default-features", "--", "-D", "warnings"];
        program::watch("package, clippy", &mut self.cargo(program::cargo(), &clippy))?;
        self.check_files()?;
        let all = ["test", "--no-fail-fast", ALL, "--", "--include-ignored", "--skip", COSTS];
        program::watch("package, tests", &mut self.cargo(program::cargo(), &all))?;
        let none = ["test", "--no-fail-fast", "--doc", NONE];
        program::watch("package, no features", &mut self.cargo(program::cargo(), &none))?;
        let tree = ["tree", NONE, "--edges", "normal", "--prefix", "none"];
        let tree = self.cargo(program::cargo(), &tree).stderr(Stdio::inherit()).output();
        let tree = tree.map_err(|error| Problem::new(format!("cargo tree: {error}")))?.stdout;
        let tree = String::from_utf8_lossy(&tree);
        if !tree.contains("rayon ") || tree.contains("plotters") {
            return Err(Problem::new(format!(
                "what the crate depends on without figures:\n{tree}"
            )));
        }
        let stands = format!("joblab {VERSION} stands alone, with all features and with none");
        let mut remarks = vec![stands];
        let manifest = self.read("Cargo.toml.orig")?;
        for target in documented(&manifest) {
            if !program::has_std(target) {
                remarks.push(format!(
                    "SKIPPED: documentation for {target} (rustup target add {target})"
                ));
                continue;
            }
            let arguments = ["doc", "--quiet", "--no-deps", ALL, "--target", target];
            let mut doc = self.cargo(program::cargo(), &arguments);
            program::watch(target, doc.env("RUSTDOCFLAGS", "-D warnings"))?;
            remarks.push(format!("documented for {target}"));
        }
        Ok(Ok(remarks))
    }

    /// Runs what compares times, one test after the other.
    pub(crate) fn check_costs(&self) -> Checked {
        let costs = ["test", ALL, "--tests", "--", "--include-ignored", "--test-threads=1", COSTS];
        program::watch("costs", &mut self.cargo(program::cargo(), &costs))?;
        Ok(Ok(Vec::new()))
    }

    /// Checks the crate with the oldest Rust that it promises to build with.
    pub(crate) fn check_msrv(&self) -> Checked {
        let toolchains = program::output("rustup", ["toolchain", "list"]).unwrap_or_default();
        let mut names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
        let is_msrv =
            |name: &&str| name.strip_prefix(MSRV).is_some_and(|rest| rest.starts_with(['.', '-']));
        let Some(toolchain) = names.find(is_msrv) else {
            let install = format!("rustup toolchain install {MSRV} --profile minimal");
            return Ok(Err(format!("Rust {MSRV} is not there ({install})")));
        };
        for features in [ALL, NONE] {
            let mut rustup = Command::new("rustup");
            rustup.args(["run", toolchain, "cargo"]);
            let arguments = ["check", "--all-targets", features];
            program::watch(&format!("msrv, {features}"), &mut self.cargo(rustup, &arguments))?;
        }
        Ok(Ok(vec![format!("checked with {toolchain}")]))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn joblab(&self) -> PathBuf {
        self.path(&format!("joblab-{VERSION}"))
    }

    /// One of the package's files.
    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.joblab().join(name))
            .map_err(|error| Problem::new(format!("{name} of the package: {error}")))
    }

    fn check_files(&self) -> Result<()> {
        for name in FILES {
            self.read(name)?;
        }
        let entries = fs::read_dir(self.joblab())
            .map_err(|error| Problem::new(format!("the package cannot be read: {error}")))?;
        for name in entries.flatten().map(|entry| entry.file_name()) {
            let name = name.to_string_lossy();
            let is_cargos = name.starts_with("Cargo.") || name == ".cargo_vcs_info.json";
            if !is_cargos && !FILES.iter().chain(&OTHERS).any(|known| *known == name) {
                return Err(Problem::new(format!("the package has {name}, which nobody needs")));
            }
        }
        if !self.read("CHANGELOG.md")?.contains(&format!("\n## {VERSION}\n")) {
            return Err(Problem::new(format!("CHANGELOG.md has no part on {VERSION}")));
        }
        Ok(())
    }

    /// Cargo, in the folder of the package, which takes the other one from beside it: no registry has it.
    fn cargo(&self, mut cargo: Command, arguments: &[&str]) -> Command {
        let derive = self.path(&format!("joblab-derive-{VERSION}"));
        let patch = format!("patch.crates-io.joblab-derive.path='{}'", derive.display());
        // Behind the command, for clippy does not hand on what stands before it.
        let (command, rest) = arguments.split_at(1);
        cargo.args(command).args(["--config", &patch]).args(rest).current_dir(self.joblab());
        // As the workspace has it: without optimisation the loop under test takes too long.
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2").env("CARGO_PROFILE_DEV_LTO", "off");
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        cargo.env("CARGO_TARGET_DIR", &self.target_folder).stdin(Stdio::null());
        cargo.env("RUST_TEST_THREADS", program::test_threads());
        if let Some(python) = &self.python {
            cargo.env("JOBLAB_PYTHON", python);
        }
        cargo
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_the_documentation_are_read_from_the_real_file() {
        let manifest = include_str!("../../joblab/Cargo.toml");
        let targets: Vec<_> = documented(manifest).collect();
        assert_eq!(targets.len(), 3, "{targets:?}");
        assert!(targets.contains(&"aarch64-apple-darwin"), "{targets:?}");
    }
}
