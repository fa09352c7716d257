//! How processes end: workers whose tasks forked, programs that fork, states that are dropped, and
//! limits that would end the program.
#![allow(unsafe_code)] // forks and limits of processes

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use joblab::{Backend, Parallel, SharedSlice};

use crate::{BACKENDS, system};

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

/// A copy of this process, which lives on for some seconds and then ends.
fn fork_that_stays(seconds: u32) {
    // SAFETY: the copy only calls what may be called there, sleep(3) and _exit(2).
    unsafe {
        if libc::fork() == 0 {
            libc::sleep(seconds);
            libc::_exit(0);
        }
    }
}

#[test]
fn a_worker_is_dead_although_a_fork_of_it_holds_its_socket() {
    fn forks_and_dies(how: u64) -> u64 {
        fork_that_stays(30);
        match how {
            0 => std::process::abort(),
            1 => system::kill("-KILL", std::process::id()),
            _ => return how,
        }
        unreachable!("it is killed")
    }
    let parallel = pool(1);
    for how in [2, 0, 1] {
        let started = Instant::now();
        match parallel.map(forks_and_dies, [how]) {
            Ok(run) => assert_eq!(run.results, [2]),
            Err(error) => assert!(how < 2 && error.is_worker_death(), "{error}"),
        }
        assert!(started.elapsed() < Duration::from_secs(15), "{how}: {:?}", started.elapsed());
    }
}

#[test]
fn what_a_worker_answered_before_it_died_is_heard() {
    fn last(n: u64) -> u64 {
        if n == 9 {
            fork_that_stays(30);
            // After the answers to the others.
            std::thread::sleep(Duration::from_millis(50));
            std::process::abort();
        }
        n
    }
    let parallel = pool(1).batch_size(1);
    let tasks = (0..10).map(|n| joblab::delayed(last, n));
    let outcomes: Vec<_> = parallel.iter(tasks).unwrap().collect();
    let results: Vec<_> = outcomes.iter().map(|one| one.as_ref().ok().copied()).collect();
    assert_eq!(results[..9], Vec::from_iter((0..9).map(Some))[..]);
    assert!(outcomes[9].as_ref().unwrap_err().is_worker_death());
}

/// Runs `child` in a fork of this process, and gives what it returns; a fork that hangs is ended.
fn in_a_fork(child: impl FnOnce() -> u8) -> Option<i32> {
    // SAFETY: this process has just one thread that does anything, and the fork ends without a return.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            libc::_exit(done.map_or(101, i32::from));
        }
        let deadline = Instant::now() + Duration::from_secs(15);
        let mut status = 0;
        while libc::waitpid(pid, &raw mut status, libc::WNOHANG) == 0 {
            if Instant::now() > deadline {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &raw mut status, 0);
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
    }
}

#[test]
fn a_fork_of_the_program_is_told_that_it_has_no_workers() {
    let name = "ends::a_fork_of_the_program_is_told_that_it_has_no_workers";
    system::in_a_process_of_its_own(name, || {
        for &backend in BACKENDS {
            let parallel = Parallel::new(2).backend(backend);
            let square = |n: u64| n * n;
            assert_eq!(parallel.map(square, [2, 3]).unwrap().results, [4, 9]);
            let shared = Parallel::new(2).backend(backend).sharedmem();
            assert_eq!(shared.map(|n: u64| n + 1, [1]).unwrap().results, [2]);
            let mut parallel = Some(parallel);
            let status = in_a_fork(|| {
                let parallel = parallel.take().unwrap();
                let errors =
                    [parallel.map(square, [2, 3]).err(), shared.map(|n: u64| n + 1, [1]).err()];
                drop((parallel, shared));
                let told = |error: &Option<joblab::Error>| {
                    error.as_ref().is_some_and(|error| error.to_string().contains("is a fork"))
                };
                errors.iter().filter(|error| told(error)).count() as u8
            });
            let expected = if backend == Backend::Sequential { 0 } else { 2 };
            assert_eq!(status, Some(expected), "{backend}: how many calls were told");
            let parallel = parallel.unwrap();
            assert_eq!(parallel.map(square, [4]).unwrap().results, [16], "here it works on");
        }
    });
}

#[test]
fn workers_end_with_their_parent_although_a_fork_of_it_lives_on() {
    let name = "ends::workers_end_with_their_parent_although_a_fork_of_it_lives_on";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        let parallel = pool(2);
        let pid = |_: u64| {
            std::thread::sleep(Duration::from_millis(100));
            std::process::id()
        };
        let pids = parallel.map(pid, 0..4).unwrap().results;
        println!();
        pids.iter().for_each(|pid| println!("worker {pid}"));
        println!("test result: ok. 1 passed");
        // SAFETY: the copy lets go of the output, so that nobody waits for it, and sleeps.
        unsafe {
            if libc::fork() == 0 {
                (0..3).for_each(|file| {
                    libc::close(file);
                });
                libc::sleep(60);
                libc::_exit(0);
            }
            libc::_exit(0);
        }
    }) else {
        return;
    };
    let lines = output.stdout.lines();
    let pids: Vec<u32> =
        lines.filter_map(|line| line.strip_prefix("worker ")?.parse().ok()).collect();
    assert_eq!(pids.len(), 4);
    system::eventually("the workers end", || !pids.iter().any(|pid| system::is_running(*pid)));
}

#[test]
fn a_limit_of_files_is_an_error_and_not_the_programs_end() {
    let name = "ends::a_limit_of_files_is_an_error_and_not_the_programs_end";
    system::in_a_process_of_its_own(name, || {
        let limit = libc::rlimit { rlim_cur: 1 << 16, rlim_max: 1 << 16 };
        // SAFETY: the call reads the one structure that it is given.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
        assert_eq!(SharedSlice::from_vec(vec![7_u64; 1000]).unwrap()[999], 7);
        let error = SharedSlice::from_vec(vec![0_u64; 1 << 20]).unwrap_err().to_string();
        assert!(error.contains("ulimit -f") && error.contains("65536 bytes"), "{error}");
        // A pool works without what its workers would note.
        let parallel = pool(2);
        assert_eq!(parallel.map(|n: u64| n + 1, 0..100).unwrap().results[99], 100);
        let error = parallel.map(|_: u64| -> u64 { std::process::abort() }, 0..2).unwrap_err();
        assert!(error.is_worker_death(), "{error}");
    });
}

/// A state that holds lines back until it is dropped.
fn open(path: &PathBuf) -> BufWriter<File> {
    BufWriter::new(File::options().create(true).append(true).open(path).unwrap())
}

#[test]
fn states_are_dropped_when_the_pool_ends() {
    for &backend in BACKENDS {
        let pid = std::process::id();
        let path = std::env::temp_dir().join(format!("joblab-states-{backend}-{pid}"));
        let _ = fs::remove_file(&path);
        let parallel = Parallel::new(2).backend(backend).with_state(open, path.clone());
        let write = |n: u64, out: &mut BufWriter<File>| writeln!(out, "line {n}").unwrap();
        assert_eq!(parallel.map(write, 0..100).unwrap().results.len(), 100);
        drop(parallel);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 100, "{backend}");
    }
}

#[test]
fn a_panic_in_a_states_drop_harms_nobody_and_one_without_end_is_stopped() {
    struct Loud(u64);
    impl Drop for Loud {
        fn drop(&mut self) {
            println!("dropped by {}", std::process::id());
            assert!(self.0 != 0, "a state's own panic");
            loop {
                std::thread::park();
            }
        }
    }
    let name = "ends::a_panic_in_a_states_drop_harms_nobody_and_one_without_end_is_stopped";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        println!();
        for &backend in BACKENDS {
            let parallel = Parallel::new(2).backend(backend).with_state(|n| Loud(*n), 0);
            assert_eq!(parallel.map(|n: u64, _| n, [1]).unwrap().results, [1]);
            drop(parallel);
        }
        let parallel = pool(2).with_state(|n| Loud(*n), 1);
        let pids = parallel.map(|_: u64, _| std::process::id(), [1]).unwrap().results;
        let started = Instant::now();
        drop(parallel);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert!(!pids.iter().any(|pid| system::is_running(*pid)));
    }) else {
        return;
    };
    assert_eq!(output.stdout.matches("dropped by").count(), 4, "{}", output.stdout);
    assert_eq!(output.stderr.matches("a state's own panic").count(), 3, "{}", output.stderr);
}
