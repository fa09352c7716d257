//! What is needed to build for other systems: their standard libraries, by rustup or from its sources, and
//! the list of what macOS's own library has, which a package of the Zig compiler carries. The linker is the
//! one that comes with rustc.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::problem::Result;
use crate::program;
use crate::workspace::{self, Workspace};

/// The package, and the file in it.
const PACKAGE: &str = "ziglang==0.17.1";
const LIST: &str = "ziglang/lib/libc/darwin/libSystem.tbd";
/// Takes one file out of the package that is in a folder.
const UNPACK: &str = "import sys, glob, zipfile
wheel, = glob.glob(sys.argv[1] + '/*.whl')
sys.stdout.buffer.write(zipfile.ZipFile(wheel).read(sys.argv[2]))";

pub(super) struct Tools {
    /// Where cargo builds, apart from all else.
    target_folder: PathBuf,
    /// A folder as Apple's SDK has it, as far as the linker looks into it.
    sdk: PathBuf,
    /// The targets for which std has to be built, since there is only its source.
    from_source: Vec<String>,
}

impl Tools {
    /// Finds or fetches what is needed; else says what is not to be had.
    pub(super) fn find(
        workspace: &Workspace,
        python: Option<PathBuf>,
        targets: &[&str],
    ) -> Result<std::result::Result<Self, String>> {
        let mut from_source = Vec::new();
        for target in targets {
            if !program::has_std(target) {
                let _ = Command::new("rustup").args(["target", "add", target]).status();
            }
            if !program::has_std(target) {
                from_source.push((*target).to_owned());
            }
        }
        if !from_source.is_empty() && !has_sources() {
            let _ = Command::new("rustup").args(["component", "add", "rust-src"]).status();
            if !has_sources() {
                return Ok(Err(format!(
                    "there is no standard library for {} (rustup target add {0}), and no source of it",
                    from_source.join(" ")
                )));
            }
        }
        let target_folder = workspace.root().join("target/mac");
        let sdk = workspace.own("mac").join("sdk");
        if !sdk.join("usr/lib/libm.tbd").is_file() {
            match python.and_then(|python| fetch_list(workspace, &python)) {
                Some(list) => lay_out(&sdk, &list)?,
                None => return Ok(Err(format!("{PACKAGE} could not be had with `pip download`"))),
            }
        }
        Ok(Ok(Tools { target_folder, sdk, from_source }))
    }

    pub(super) fn target_folder(&self) -> &Path {
        &self.target_folder
    }

    fn is_built(&self, target: &str) -> bool {
        self.from_source.iter().any(|other| other == target)
    }

    /// The target that is checked for the one that was asked for.
    pub(super) fn target<'a>(&self, target: &'a str) -> &'a str {
        match self.is_built(target) {
            // To build std for the one takes a tool of MinGW's; what is checked is the same.
            true if target.ends_with("windows-gnu") => "x86_64-pc-windows-msvc",
            _ => target,
        }
    }

    /// Cargo for a package of the workspace, or of another one in a folder.
    pub(super) fn cargo(&self, folder: &Path, target: &str, arguments: &[&str]) -> Command {
        let is_built = self.is_built(target);
        let target = self.target(target);
        let mut cargo = program::cargo();
        cargo.args(arguments).arg("--target").arg(target);
        cargo.arg("--target-dir").arg(self.target_folder()).current_dir(folder);
        if is_built {
            cargo.arg("-Zbuild-std=std,panic_unwind").env("RUSTC_BOOTSTRAP", "1");
        }
        if target.ends_with("apple-darwin") {
            let variable = format!("CARGO_TARGET_{}", target.to_uppercase().replace('-', "_"));
            cargo.env("SDKROOT", &self.sdk).env(format!("{variable}_LINKER"), "rust-lld");
            cargo.env(format!("{variable}_RUSTFLAGS"), "-Clinker-flavor=ld64.lld");
        }
        cargo
    }
}

fn has_sources() -> bool {
    let root = program::output("rustc", ["--print", "sysroot"]);
    root.is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library/std").is_dir())
}

/// The list as the package has it.
fn fetch_list(workspace: &Workspace, python: &Path) -> Option<String> {
    let folder = workspace.own("mac").join("package");
    // Only the list is kept.
    let _ = fs::remove_dir_all(&folder);
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let mut pip_download = Command::new(python);
    pip_download.args(pip).arg("--dest").arg(&folder).arg(PACKAGE);
    let is_there = pip_download.status().ok()?.success();
    let arguments = [OsString::from("-c"), UNPACK.into(), folder.clone().into(), LIST.into()];
    let list = is_there.then(|| program::output(python, arguments)).flatten();
    let _ = fs::remove_dir_all(&folder);
    list
}

/// Writes the list under each of the names by which the linker asks for it.
fn lay_out(sdk: &Path, list: &str) -> Result<()> {
    // It says arm64e, a kind of arm64 whose pointers are signed; the library is there for both.
    let list = list.replace("arm64e.x1-", "arm64-") + "\n";
    // The last one says that all are there.
    for name in ["System", "c", "iconv", "m"] {
        workspace::write(&sdk.join(format!("usr/lib/lib{name}.tbd")), &list)?;
    }
    Ok(())
}
