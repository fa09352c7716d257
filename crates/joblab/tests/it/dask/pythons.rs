//! The Pythons of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cluster::python;

/// Another version of Python than that of the other tests, with the same Dask. What has none is given
/// it in a folder of its own, which later runs find.
pub(super) fn another() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("JOBLAB_OTHER_PYTHON") {
        return Some(chosen.into());
    }
    let own = version(python())?;
    let dask = say(python(), "import distributed; print(distributed.__version__)")?;
    others().into_iter().find_map(|other| {
        let version = version(Command::new(&other)).filter(|version| *version != own)?;
        with_dask(&other, &version, &dask)
    })
}

/// Those that may be there: in the search path, and where pyenv, uv and conda keep theirs.
fn others() -> Vec<PathBuf> {
    let versions = (10..20).map(|minor| PathBuf::from(format!("python3.{minor}")));
    let home = std::env::home_dir().unwrap_or_default();
    let kept = [".pyenv/versions", ".local/share/uv/python", "miniconda3/envs", "miniforge3/envs"];
    let mut installed: Vec<_> = kept
        .iter()
        .filter_map(|folder| fs::read_dir(home.join(folder)).ok())
        .flat_map(|folder| folder.flatten().map(|entry| entry.path().join("bin/python3")))
        .collect();
    installed.sort();
    versions.chain([PathBuf::from("/usr/bin/python3")]).chain(installed).collect()
}

/// Such as 3.12, if it is one that joblab can do with.
fn version(python: Command) -> Option<String> {
    let code = "import sys; sys.version_info >= (3, 10) and print('%d.%d' % sys.version_info[:2])";
    say(python, code).filter(|version| !version.is_empty())
}

fn say(mut python: Command, code: &str) -> Option<String> {
    let output = python.args(["-c", code]).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

fn with_dask(python: &Path, version: &str, dask: &str) -> Option<PathBuf> {
    let name = format!("python-{version}-distributed-{dask}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let own = folder.join("bin/python");
    let has = || say(Command::new(&own), "import distributed").is_some();
    let run = |program: &Path, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let package = format!("distributed=={dask}");
    let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", &package];
    let is_there = has()
        || run(python, &["-m", "venv", "--clear", folder.to_str()?])
            && run(&own, &install)
            && has();
    is_there.then_some(own)
}
