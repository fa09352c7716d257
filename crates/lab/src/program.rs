//! Other programs: finding them, running them, and the room they need.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::problem::{Problem, Result};

/// Below this a failed step failed for want of room, whatever its own words are.
const FULL_MEGABYTES: u64 = 100;

/// Finds a program as a shell would: by its path, or by its name on PATH. One that only offers to install
/// what it is called by is none.
pub(crate) fn find(name: impl AsRef<Path>) -> Option<PathBuf> {
    Places::here().find(name.as_ref())
}

/// Where programs are looked for.
pub(crate) struct Places {
    /// The system's root, but for tests.
    root: PathBuf,
    /// The folders of PATH.
    folders: Vec<PathBuf>,
}

impl Places {
    /// Those of this machine.
    pub(crate) fn here() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self { root: "/".into(), folders: env::split_paths(&path).collect() }
    }

    /// Finds a program by its path, or by its name.
    pub(crate) fn find(&self, name: &Path) -> Option<PathBuf> {
        let is_it = |path: &PathBuf| is_executable(path) && !self.is_stub(path);
        if name.components().count() > 1 {
            return Some(self.below_root(name)).filter(is_it);
        }
        self.folders.iter().map(|folder| folder.join(name)).find(is_it)
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix("/").map_or_else(|_| path.to_owned(), |path| self.root.join(path))
    }

    /// Whether it is one of those that macOS has in the place of Apple's command line tools as long as
    /// nobody has installed these: called, it opens a window.
    fn is_stub(&self, path: &Path) -> bool {
        let select = self.root.join("usr/bin/xcode-select");
        ["usr/bin/cc", "usr/bin/python3"].iter().any(|tool| path == self.root.join(tool))
            && select.exists()
            // A new version of macOS may take the tools away, and not their place.
            && output(select, ["-p"]).is_none_or(|tools| !Path::new(&tools).is_dir())
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// How many of joblab's own tests run at the same time: they wait for processes half of the time.
pub(crate) fn test_threads() -> String {
    (2 * thread::available_parallelism().map_or(1, NonZero::get)).to_string()
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

/// Runs a command beside others: each line that it prints is shown at once, behind a name. If it fails,
/// the problem has the lines that tell why, for what else runs has buried them by the end.
pub(crate) fn watch(name: &str, command: &mut Command) -> Result<()> {
    let problem = |error: io::Error| Problem::new(format!("{name}: {error}"));
    let (lines, end) = io::pipe().map_err(problem)?;
    command.stdout(end.try_clone().map_err(problem)?).stderr(end);
    let child = command.spawn();
    // The command keeps its ends of the pipe otherwise, and the lines would have no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, telling) = mpsc::channel();
    let shown = name.to_owned();
    thread::spawn(move || {
        let mut telling = Telling::default();
        for line in BufReader::new(lines).split(b'\n').map_while(io::Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            eprintln!("{shown}: {line}");
            telling.note(line);
        }
        let _ = sender.send(telling);
    });
    let status = child.and_then(|mut child| child.wait()).map_err(problem)?;
    // A process that it has left behind may hold the pipe.
    let telling = telling.recv_timeout(LEFT).unwrap_or_default();
    match status.success() {
        true => Ok(()),
        false => Err(Problem::new(format!("{name}: {status}; it said\n{}", telling.text()))),
    }
}

/// How long lines may come after the end of a command.
const LEFT: Duration = Duration::from_secs(5);

/// The lines that tell why a command failed: what Rust's tests say of failures, and the last ones.
#[derive(Default)]
struct Telling {
    failures: Vec<String>,
    is_within: bool,
    last: VecDeque<String>,
}

impl Telling {
    const FAILURES: usize = 200;
    const LAST: usize = 40;

    fn note(&mut self, line: String) {
        // A test's own output has the end of another one's at times; that of all tests is cargo's next word.
        let is_cargos = ["Running ", "Doc-tests ", "error: "]
            .iter()
            .any(|it| line.trim_start().starts_with(it));
        self.is_within = !is_cargos && (self.is_within || line == "failures:");
        if self.is_within && self.failures.len() < Self::FAILURES {
            self.failures.push(line);
            return;
        }
        if self.last.len() == Self::LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    fn text(self) -> String {
        self.failures.into_iter().chain(self.last).collect::<Vec<_>>().join("\n")
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    /// A system of invented folders.
    pub(crate) struct System(PathBuf);

    impl System {
        pub(crate) fn new(name: &str) -> Self {
            let root = env::temp_dir().join(format!("lab-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            Self(root)
        }

        /// Adds a program, which is a script.
        pub(crate) fn add(&self, path: &str, script: &str) -> PathBuf {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Another process, which this one starts meanwhile, could have the program open for writing.
            let aside = path.with_extension("new");
            let text = format!("#!/bin/sh\n{script}\n");
            let made = Command::new("/bin/sh")
                .args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""])
                .args([aside.as_os_str(), text.as_ref()])
                .status();
            assert!(made.unwrap().success());
            fs::rename(aside, &path).unwrap();
            path
        }

        pub(crate) fn places(&self, folders: &[&str]) -> Places {
            let folders = folders.iter().map(|folder| self.0.join(folder)).collect();
            Places { root: self.0.clone(), folders }
        }
    }

    impl Drop for System {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_macos_has_in_the_place_of_apples_tools_is_not_found() {
        let system = System::new("stubs");
        let asked = system.0.join("asked");
        let stub = format!("echo >>{}; exit 1", asked.display());
        let (cc, python) = (system.add("usr/bin/cc", &stub), system.add("usr/bin/python3", &stub));
        let other = system.add("usr/bin/other", "");
        let places = system.places(&["none", "usr/bin", "opt/homebrew/bin"]);
        let find = |name: &str| places.find(name.as_ref());
        // Another system, which has no such thing.
        assert_eq!(find("cc"), Some(cc.clone()));
        system.add("usr/bin/xcode-select", "exit 2");
        assert_eq!((find("cc"), find("python3")), (None, None));
        assert_eq!((find("/usr/bin/cc"), find("other")), (None, Some(other)));
        let homebrews = system.add("opt/homebrew/bin/python3", "");
        assert_eq!(find("python3"), Some(homebrews));
        // Apple's tools, where they should be, and then also are.
        let tools = system.0.join("Library/Developer/CommandLineTools");
        system.add("usr/bin/xcode-select", &format!("[ \"$*\" = -p ] && echo {}", tools.display()));
        assert_eq!(find("cc"), None);
        fs::create_dir_all(tools).unwrap();
        assert_eq!((find("cc"), find("python3")), (Some(cc.clone()), Some(python)));
        assert_eq!(find("/usr/bin/cc"), Some(cc));
        assert!(!asked.exists(), "a stub opens a window");
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let system = System::new("path");
        fs::create_dir_all(system.0.join("a/folder")).unwrap();
        fs::write(system.0.join("a/text"), "").unwrap();
        let (first, second) = (system.add("a/both", ""), system.add("b/both", ""));
        let text = system.add("b/text", "");
        let places = system.places(&["a", "b"]);
        let find = |name: &str| places.find(name.as_ref());
        assert_eq!((find("both"), find("text")), (Some(first), Some(text)));
        assert_eq!((find("/b/both"), find("/c/both")), (Some(second), None));
        assert_eq!((find("folder"), find("nothing")), (None, None));
    }

    #[test]
    fn the_lines_that_tell_why_are_kept() {
        let told = |script: &str| watch("it", Command::new("/bin/sh").args(["-c", script]));
        assert_eq!(told("echo well"), Ok(()));
        let last = told("for i in $(seq 50); do echo $i; done; echo why >&2; exit 3");
        let last = last.unwrap_err().to_string();
        assert!(last.contains("exit status: 3") && last.ends_with("\n49\n50\nwhy"), "{last}");
        assert!(!last.contains("\n11\n") && last.contains("\n12\n"), "{last}");
        // What Rust's tests say comes first, though more tests follow.
        let tests = "echo; echo failures:; echo test result: of another one; echo why; \
                     echo '   Running others'; seq 50; exit 1";
        let tests = told(tests).unwrap_err().to_string();
        assert!(
            tests.contains("said\nfailures:\ntest result: of another one\nwhy\n11\n"),
            "{tests}"
        );
        assert!(tests.ends_with("\n50"), "{tests}");
        // It may leave somebody behind who holds what it printed to.
        let begun = Instant::now();
        assert_eq!(told("sleep 20 & echo $! >&2"), Ok(()));
        assert!(begun.elapsed() < 5 * LEFT);
        assert!(watch("it", &mut Command::new("/nowhere")).is_err());
    }
}
