//! Names of threads and processes, in log lines and in the system's tables.

use std::process::Command;
use std::time::{Duration, Instant};

use joblab::{Parallel, find_ids};

const CHILD: &str = "JOBLAB_TEST_FIND_IDS";
const LINES: usize = 4000;

#[test]
fn find_ids_lines_are_never_torn() {
    if std::env::var_os(CHILD).is_some() {
        let run = Parallel::new(4).map(|_: usize| find_ids(), 0..LINES);
        return drop(run.unwrap());
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "names::find_ids_lines_are_never_torn",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<String> = (0..4)
        .map(|worker| format!("debug logging: worker-{worker} MainProcess"))
        .collect();
    let whole = |line: &&str| expected.iter().any(|expected| expected == line);
    let lines: Vec<&str> = stdout
        .lines()
        .filter(|line| line.contains("debug"))
        .collect();
    assert_eq!(
        lines.iter().filter(|line| whole(line)).count(),
        LINES,
        "{stdout}"
    );
}

/// Counts this process's threads of pools with a name of their own length in the system's table.
#[cfg(target_os = "linux")]
fn pool_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("worker-7"))
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn threads_end_with_their_pool() {
    // worker-70 to worker-79 and worker-7: names that no other test's pool has.
    let parallel = Parallel::new(80);
    drop(parallel.map(|n: u64| n, 0..80).unwrap());
    assert_eq!(pool_threads(), 11);
    drop(parallel);
    let deadline = Instant::now() + Duration::from_secs(10);
    while pool_threads() > 0 {
        assert!(
            Instant::now() < deadline,
            "{} threads are left",
            pool_threads()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
