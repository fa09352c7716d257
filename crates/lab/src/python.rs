//! The Python environment that JupyterLab and the notebook runner live in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, Part};
use crate::problem::{Problem, Result};
use crate::program::{self, Step};
use crate::say;
use crate::workspace::{self, Workspace};

/// How notebooks' crates are optimised across their codegen units: cargo's setting, by its variable.
const LTO: &str = "CARGO_PROFILE_DEV_LTO";
/// Keeps cargo from asking the registry: cargo's setting, by its variable.
const OFFLINE: &str = "CARGO_NET_OFFLINE";
const STATE: &str = "Python environment";
/// The file that says of what a finished environment was made; it is written last.
const STAMP: &str = "packages.txt";
/// JupyterLab would lay the question whether to fetch news over the end of the first notebook.
const SETTINGS: &str = r#"{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}"#;
/// The packages for notebooks that have pools of workers.
const POOLS: &[&str] = &["joblib", "distributed"];
/// Prints the requirements that the environment does not meet.
const LACKING: &str = include_str!("lacking.py");

/// A Python environment that has what the notebooks need.
pub(crate) struct Environment {
    /// By a path that is its own, wherever links lead to it: what is built names it.
    prefix: PathBuf,
    is_offline: bool,
}

impl Environment {
    fn at(prefix: PathBuf) -> Self {
        Self { prefix: fs::canonicalize(&prefix).unwrap_or(prefix), is_offline: false }
    }

    /// Takes the activated environment if it has everything, else our own, which is made if need be.
    pub(crate) fn find_or_make(workspace: &Workspace) -> Result<Self> {
        let packages = packages::read(&workspace.environment_yml(), Part::Notebooks)?;
        if let Some(activated) = Self::activated() {
            let lacking = activated.lacking(&packages);
            if lacking.is_empty() {
                say::state(STATE, &format!("{}, activated", activated.prefix.display()));
                return Ok(activated);
            }
            let prefix = activated.prefix.display();
            say::state(STATE, &format!("{prefix} lacks {}: using our own", lacking.join(", ")));
        }
        let own = Self::own(workspace, "python", &packages, 800)?;
        say::state(STATE, &own.prefix.display().to_string());
        Ok(own)
    }

    /// An environment of what only the tests need: readers of notebooks do not fetch it.
    pub(crate) fn for_tests(workspace: &Workspace) -> Result<Self> {
        let packages = packages::read(&workspace.environment_yml(), Part::Tests)?;
        Self::own(workspace, "test-python", &packages, 300)
    }

    /// An environment of the pools that `cargo lab bench` measures: those of its own part, and those
    /// that notebooks use too.
    pub(crate) fn for_bench(workspace: &Workspace) -> Result<Self> {
        let mut packages = packages::read(&workspace.environment_yml(), Part::Bench)?;
        let notebooks = packages::read(&workspace.environment_yml(), Part::Notebooks)?;
        let is_pool = |entry: &String| POOLS.iter().any(|name| entry.starts_with(name));
        packages.extend(notebooks.into_iter().filter(is_pool));
        Self::own(workspace, "bench-python", &packages, 400)
    }

    /// The environment of that name in our own folder, made anew unless it is whole.
    fn own(workspace: &Workspace, name: &str, packages: &[String], megabytes: u64) -> Result<Self> {
        let own = Self::at(workspace.own(name));
        if !own.is_whole(packages) {
            own.make(workspace, packages, megabytes)?;
        }
        Ok(Self::at(own.prefix))
    }

    fn activated() -> Option<Self> {
        ["VIRTUAL_ENV", "CONDA_PREFIX"]
            .into_iter()
            .filter_map(env::var_os)
            .map(|prefix| Self::at(prefix.into()))
            .find(|environment| environment.python().is_file())
    }

    /// Has cells use the crates that are on this machine.
    pub(crate) fn go_offline(&mut self) {
        self.is_offline = true;
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.prefix.join("bin").join("python")
    }

    /// The folder in which this environment's programs look for kernels.
    pub(crate) fn jupyter_path(&self) -> PathBuf {
        self.prefix.join("share").join("jupyter")
    }

    /// A command that runs the environment's Python as if the environment were activated.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.python());
        self.activate(&mut command);
        command
    }

    /// Lets a command run as if the environment were activated.
    pub(crate) fn activate(&self, command: &mut Command) {
        let with_first = |folder: PathBuf, variable: &str| {
            let rest = env::var_os(variable).unwrap_or_default();
            let all = env::split_paths(&rest).filter(|path| !path.as_os_str().is_empty());
            env::join_paths([folder].into_iter().chain(all))
        };
        // A folder whose name has a colon cannot stand in such a variable; then it stays as it is.
        if let Ok(path) = with_first(self.prefix.join("bin"), "PATH") {
            command.env("PATH", path);
        }
        if let Ok(path) = with_first(self.jupyter_path(), "JUPYTER_PATH") {
            command.env("JUPYTER_PATH", path);
        }
        // Half of what building our crate takes, and the first cell waits for it.
        if env::var_os(LTO).is_none() {
            command.env(LTO, "off");
        }
        if self.is_offline {
            command.env(OFFLINE, "true");
        }
        // What a notebook links or runs as Python is this one, also where another one is activated.
        command.env("PYO3_PYTHON", self.python());
    }

    /// A command that runs a script of ours, with the modules beside it and without the user's own;
    /// it leaves no files among the sources.
    pub(crate) fn script(&self, path: &Path) -> Command {
        let mut command = self.command();
        command.args(["-E", "-s", "-B"]).arg(path);
        command
    }

    fn lacking(&self, packages: &[String]) -> Vec<String> {
        let arguments =
            ["-I", "-c", LACKING].into_iter().chain(packages.iter().map(String::as_str));
        match program::output(self.python(), arguments) {
            Some(lacking) => lacking.lines().map(str::to_owned).collect(),
            None => vec!["a Python that runs".to_owned()],
        }
    }

    fn is_whole(&self, packages: &[String]) -> bool {
        fs::read_to_string(self.prefix.join(STAMP)).is_ok_and(|made| made == packages.join("\n"))
            && program::output(self.python(), ["-I", "-c", ""]).is_some()
    }

    /// Makes the environment from nothing. What an interrupted call left is removed first.
    fn make(&self, workspace: &Workspace, packages: &[String], megabytes: u64) -> Result<()> {
        let python = interpreter()?;
        let step = Step {
            name: "making the Python environment",
            folder: workspace.root(),
            megabytes,
            remedy: "The network may be the cause. Call again: it starts over from pip's cache.",
        };
        step.check_room()?;
        let folder = self.prefix.display();
        if self.prefix.exists() {
            say::state(STATE, &format!("{folder} is unfinished or out of date: making it anew"));
            fs::remove_dir_all(&self.prefix)
                .map_err(|error| Problem::new(format!("cannot remove {folder}: {error}")))?;
        }
        say::state(STATE, &format!("making {folder}, which takes about a minute"));
        step.run(Command::new(python).args(["-m", "venv"]).arg(&self.prefix))?;
        step.run(
            Command::new(self.python())
                .args(["-m", "pip", "install", "--disable-pip-version-check"])
                .args(packages),
        )?;
        let settings = self.jupyter_path().join("lab/settings/overrides.json");
        workspace::write(&settings, SETTINGS)?;
        workspace::write(&self.prefix.join(STAMP), &packages.join("\n"))
    }
}

/// Finds a Python that can make an environment.
fn interpreter() -> Result<PathBuf> {
    let mut too_old = None;
    for path in ["python3", "python"].iter().filter_map(program::find) {
        match version(&path) {
            Some(version) if version >= (3, 9) => return can_make_environments(path),
            Some((major, minor)) => {
                too_old = Some(format!("{} is {major}.{minor}", path.display()))
            }
            None => {}
        }
    }
    let found = too_old.unwrap_or_else(|| "none was found".to_owned());
    Err(Problem::new(format!(
        "Python 3.9 or newer is needed, and {found}: install it \
         (Debian: sudo apt install python3-venv, macOS: brew install python), then call again"
    )))
}

fn version(python: &Path) -> Option<(u32, u32)> {
    let script = "import sys; print(*sys.version_info[:2])";
    let (major, minor) = program::output(python, ["-c", script])?
        .split_once(' ')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))?;
    Some((major, minor))
}

/// Debian has the module `venv` without the one that puts pip into the environment.
fn can_make_environments(python: PathBuf) -> Result<PathBuf> {
    match program::output(&python, ["-c", "import ensurepip, venv"]) {
        Some(_) => Ok(python),
        None => Err(Problem::new(format!(
            "{} has no venv module: install it (Debian: sudo apt install python3-venv), \
             then call again",
            python.display()
        ))),
    }
}
