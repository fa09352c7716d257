//! What happens where the system has no more files, processes or memory to give.
#![allow(unsafe_code)] // limits of processes

use std::error::Error as _;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

/// The worker's pid; long enough a task for both workers to get one.
fn who(_: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(200));
    std::process::id()
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Lowers or raises what this process may have of something, as far as it may.
fn set_limit(resource: libc::__rlimit_resource_t, limit: u64) {
    let mut both = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the one structure that they are given.
    let done = unsafe {
        libc::getrlimit(resource, &raw mut both);
        both.rlim_cur = limit.min(both.rlim_max);
        libc::setrlimit(resource, &raw const both)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn without_file_descriptors_there_is_an_error_and_later_a_pool() {
    let name = "scarcity::without_file_descriptors_there_is_an_error_and_later_a_pool";
    system::in_a_process_of_its_own(name, || {
        // All descriptors but some: at each number of them another step of the start fails.
        let mut hoard = Vec::new();
        let limit = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert!(limit.contains("Max open files"));
        while hoard.len() < 200_000
            && let Ok(file) = File::open("/dev/null")
        {
            hoard.push(file);
        }
        let mut failures = 0;
        for spare in 0..14 {
            let before = system_files_without_reading(&mut hoard);
            match pool(1).map(|n: u64| n, 0..3) {
                Ok(run) => assert_eq!(run.results, [0, 1, 2]),
                Err(error) => {
                    failures += 1;
                    let message = error.to_string();
                    assert!(message.contains("Too many open files"), "{spare}: {message}");
                    assert!(message.contains("raise the limit"), "{spare}: {message}");
                    let source = error.source().unwrap().to_string();
                    assert!(message.contains(&source), "{spare}: {source}");
                }
            }
            assert_eq!(system_files_without_reading(&mut hoard), before, "with {spare} spare");
            hoard.pop();
        }
        assert!(failures >= 3, "only {failures} steps failed");
        drop(hoard);
        assert_eq!(pool(2).map(|n: u64| n, 0..3).unwrap().results, [0, 1, 2]);
    });
}

/// How many descriptors are free, found without one: by taking them all for a moment.
fn system_files_without_reading(hoard: &mut Vec<File>) -> usize {
    let before = hoard.len();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    let free = hoard.len() - before;
    hoard.truncate(before);
    free
}

/// Makes this process one of a user that has no others, since root may have as many as it likes. The
/// user needs no name. False where that may not be, or where this program lies in a folder that only
/// its owner enters: workers are started from its file.
fn become_nobody_else() -> bool {
    let user = 1_000_000 + std::process::id();
    let program = std::env::current_exe().unwrap();
    let is_reached = |folder: &Path| folder.metadata().unwrap().mode() & 0o005 == 0o005;
    if !program.ancestors().all(is_reached) {
        return false;
    }
    // SAFETY: plain numbers. The last call makes `/proc/self` readable again.
    unsafe {
        libc::geteuid() == 0
            && libc::setresuid(user, user, user) == 0
            && libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0
    }
}

#[test]
fn without_processes_there_is_an_error_and_later_a_pool() {
    let name = "scarcity::without_processes_there_is_an_error_and_later_a_pool";
    let output = system::in_a_process_of_its_own(name, || {
        let is_alone = become_nobody_else();
        // SAFETY: gives a number.
        let is_root = unsafe { libc::geteuid() } == 0;
        // What other programs of the same user start changes what is left; root has no limit.
        let steps = if is_alone { 3 } else { usize::from(!is_root) };
        if !is_alone {
            println!(
                "SKIPPED but for {steps} steps: only root, in a folder that others enter, becomes a user of its own"
            );
        }
        let count = || (system::open_files(), system::threads(""), system::children().len());
        let before = count();
        let spare = |spare| set_limit(libc::RLIMIT_NPROC, before.1 as u64 + spare);
        // Threads count as processes: first that of the pool cannot be had, then a worker, and then
        // the thread in it that runs tasks.
        let reasons = ["temporarily unavailable", "temporarily unavailable", "before it was ready"];
        for (n, reason) in (0..).zip(reasons).take(steps) {
            spare(n);
            let error = pool(1).map(who, 0..2).unwrap_err().to_string();
            assert!(error.contains(reason), "{n} spare: {error}");
            assert_eq!(count(), before, "files, threads, children with {n} spare");
        }
        if is_alone {
            // Enough for one worker, but not for two.
            spare(3);
            assert_eq!(pool(1).map(who, 0..2).unwrap().results.len(), 2);
            let parallel = pool(2);
            assert!(parallel.map(who, 0..2).is_err());
            set_limit(libc::RLIMIT_NPROC, u64::MAX);
            let pids = parallel.map(who, 0..2).unwrap().results;
            assert_ne!(pids[0], pids[1], "now it has both");
        }
        set_limit(libc::RLIMIT_NPROC, u64::MAX);
        assert_eq!(pool(2).map(who, 0..2).unwrap().results.len(), 2);
        assert_eq!(count(), before, "files, threads, children");
    });
    // For whoever reads the log.
    output.inspect(|output| print!("{}", output.stdout));
}

/// Two tasks of a pool: one never ends, and what the other one does ends its worker.
#[track_caller]
fn dies<A>(f: fn(A) -> u64, arguments: [A; 2], how: &str)
where
    A: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    let parallel = pool(2);
    let error = parallel.map(f, arguments).unwrap_err();
    let message = error.to_string();
    assert!(error.is_worker_death() && error.task_index() == Some(1), "{message}");
    for words in ["task 1", "worker process ", how] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(parallel.map(|n: u64| n + 1, 0..4).unwrap().results, [1, 2, 3, 4]);
}

#[test]
fn a_task_whose_memory_is_refused_takes_only_its_worker() {
    fn greedy(n: u64) -> u64 {
        if n == 0 {
            forever()
        }
        set_limit(libc::RLIMIT_AS, 1 << 30);
        std::hint::black_box(vec![1_u8; 1 << 31]).len() as u64
    }
    let name = "scarcity::a_task_whose_memory_is_refused_takes_only_its_worker";
    let output = system::in_a_process_of_its_own(name, || dies(greedy, [0, 1], "SIGABRT"));
    if let Some(output) = output {
        let words = "memory allocation of 2147483648 bytes failed";
        assert!(output.stderr.contains(words), "std's own words: {}", output.stderr);
    }
}

/// A group of processes that may have little memory together (cgroups(7), of either version).
struct Group(PathBuf);

impl Group {
    /// The reason if there is none: root makes them, where the system lets it.
    fn new(bytes: u64) -> Result<Group, String> {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let two = Path::new("/sys/fs/cgroup");
        let (parent, limit) = if two.join("cgroup.controllers").exists() {
            if !read(&two.join("cgroup.subtree_control")).contains("memory") {
                return Err("groups here have no memory of their own".to_owned());
            }
            (two.to_owned(), "memory.max")
        } else {
            let own = read(Path::new("/proc/self/cgroup"));
            let own = own.lines().find_map(|line| line.split_once(":memory:/"));
            let (_, own) = own.ok_or("there are no groups with memory of their own")?;
            (two.join("memory").join(own), "memory.limit_in_bytes")
        };
        let group = Group(parent.join(format!("joblab-test-{}", std::process::id())));
        fs::create_dir(&group.0).map_err(|error| format!("{}: {error}", group.0.display()))?;
        // Where there is swap it counts too; where there is none there is no such file.
        let _ = fs::write(group.0.join("memory.swap.max"), "0");
        let limited = fs::write(group.0.join(limit), bytes.to_string());
        limited.map_err(|error| error.to_string())?;
        Ok(group)
    }

    /// How many processes the kernel has killed in it.
    fn killed(&self) -> u64 {
        let files = ["memory.events", "memory.oom_control"].map(|file| self.0.join(file));
        let text = files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap();
        line.parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_worker_that_the_kernel_kills_for_its_memory_is_named() {
    fn greedy(group: Option<PathBuf>) -> u64 {
        let Some(group) = group else { forever() };
        fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        let hoard: Vec<_> = (0..64).map(|_| std::hint::black_box(vec![1_u8; 1 << 24])).collect();
        hoard.len() as u64
    }
    match Group::new(1 << 26) {
        Ok(group) => {
            dies(greedy, [None, Some(group.0.clone())], "SIGKILL, perhaps because memory ran out");
            assert_eq!(group.killed(), 1, "by the kernel");
        }
        Err(reason) => println!("SKIPPED: {reason}"),
    }
}
