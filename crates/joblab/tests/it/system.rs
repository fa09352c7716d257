//! What the operating system knows of this process and others.

#[cfg(target_os = "linux")]
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until something is so, and fails if it does not come to pass.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// This process's threads whose names begin so.
#[cfg(target_os = "linux")]
pub(crate) fn threads(prefix: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}

/// This process's open files.
#[cfg(target_os = "linux")]
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// All processes there are, zombies included.
#[cfg(target_os = "linux")]
pub(crate) fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// This process's children, zombies included.
#[cfg(target_os = "linux")]
pub(crate) fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The children of a process, zombies included.
#[cfg(target_os = "linux")]
pub(crate) fn children_of(of: u32) -> Vec<u32> {
    processes().into_iter().filter(|&pid| parent(pid) == Some(of)).collect()
}

/// The state letter and the parent of a process (proc_pid_stat(5)).
#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// What ps(1) says, where there is no `/proc`.
#[cfg(not(target_os = "linux"))]
fn ps(arguments: &[&str]) -> String {
    let output = Command::new("ps").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The state letter and the parent of a process.
#[cfg(not(target_os = "linux"))]
fn stat(pid: u32) -> Option<(String, u32)> {
    let line = ps(&["-o", "state=,ppid=", "-p", &pid.to_string()]);
    let (state, parent) = line.trim().split_once(' ')?;
    Some((state.get(..1)?.to_owned(), parent.trim().parse().ok()?))
}

#[cfg(target_os = "linux")]
fn parent(pid: u32) -> Option<u32> {
    Some(stat(pid)?.1)
}

/// Whether a process runs: a zombie does not.
pub(crate) fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// A line of `/proc/PID/status` or `smaps_rollup`, in kB.
#[cfg(target_os = "linux")]
pub(crate) fn kilobytes(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a signal with kill(1).
pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// What a process wrote.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The variable that tells this program that it was started for one test's sake.
pub(crate) const ALONE: &str = "JOBLAB_TEST_ALONE";

/// A command that runs one test of this program alone, in a process of its own.
pub(crate) fn alone(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(ALONE, "1")
        .stdin(Stdio::null());
    command
}

/// Whether this process was started by [`alone`].
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs the rest of a test in a process that no other test shares, and gives its output to the
/// first process; in the second there is none.
pub(crate) fn in_a_process_of_its_own(test: &str, work: impl FnOnce()) -> Option<Output> {
    if is_alone() {
        work();
        return None;
    }
    let output = alone(test).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "the test {test} was not found:\n{stdout}");
    Some(Output { stdout, stderr })
}
