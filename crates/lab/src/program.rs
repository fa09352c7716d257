//! Other programs: finding them, running them, and the room they need.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::problem::{Problem, Result};

/// Below this a failed step failed for want of room, whatever its own words are.
const FULL_MEGABYTES: u64 = 100;

/// Finds a program as a shell would: by its path, or by its name on PATH. One that only offers to install
/// what it is called by is none.
pub(crate) fn find(name: impl AsRef<Path>) -> Option<PathBuf> {
    let name = name.as_ref();
    if name.components().count() > 1 {
        return is_executable(name).then(|| name.to_owned());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path) && !is_stub(path))
}

/// Whether it is one of those that macOS has in the place of Apple's command line tools as long as nobody
/// has installed these: called, it opens a window.
fn is_stub(path: &Path) -> bool {
    const TOOLS: [&str; 2] = ["/usr/bin/cc", "/usr/bin/python3"];
    const SELECT: &str = "/usr/bin/xcode-select";
    TOOLS.iter().any(|tool| path == Path::new(tool))
        && Path::new(SELECT).exists()
        && output(SELECT, ["-p"]).is_none()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program and returns what it printed, or `None` if it failed.
pub(crate) fn output<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether there is a standard library to build for that system with.
pub(crate) fn has_std(target: &str) -> bool {
    let folder = output("rustc", ["--print", "target-libdir", "--target", target]);
    let files = folder.and_then(|folder| std::fs::read_dir(folder).ok());
    files.is_some_and(|mut files| files.next().is_some())
}

/// A step that takes time and room.
pub(crate) struct Step<'a> {
    /// What it does, as in "installing evcxr_jupyter".
    pub(crate) name: &'a str,
    /// Where it writes.
    pub(crate) folder: &'a Path,
    /// What it needs there, in MB.
    pub(crate) megabytes: u64,
    /// What to do when it fails, room apart.
    pub(crate) remedy: &'a str,
}

impl Step<'_> {
    /// Makes sure that there is room for the step.
    pub(crate) fn check_room(&self) -> Result<()> {
        match free_megabytes(self.folder) {
            Some(free) if free < self.megabytes => Err(self.no_room(free)),
            _ => Ok(()),
        }
    }

    /// Runs a command of the step. Its own output is shown, on stderr.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let done = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
        if done.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(match free_megabytes(self.folder) {
            Some(free) if free < FULL_MEGABYTES => self.no_room(free),
            _ => {
                Problem::new(format!("{} failed; its output is above. {}", self.name, self.remedy))
            }
        })
    }

    fn no_room(&self, free: u64) -> Problem {
        Problem::new(format!(
            "{} needs about {} MB, and {} has {free} MB free: make room, then call again",
            self.name,
            self.megabytes,
            self.folder.display()
        ))
    }
}

/// The free space, or `None` where `df` cannot tell: then the step itself finds out.
fn free_megabytes(folder: &Path) -> Option<u64> {
    let table = output("df", [OsStr::new("-Pk"), folder.as_os_str()])?;
    let kilobytes: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes / 1024)
}
