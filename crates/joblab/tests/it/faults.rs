//! What goes wrong in a pool of processes, done for real, and what then happens.
#![allow(unsafe_code)] // crashes, descriptors and libraries on purpose

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use joblab::{Backend, Error, Parallel};
use serde::{Deserialize, Serialize, Serializer};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

fn forever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// The error of a call in which task 1 fails and the other one never ends, after which the pool
/// must be as good as new.
#[track_caller]
fn failing(task: fn(u64) -> u64) -> Error {
    let parallel = pool(2);
    let started = Instant::now();
    let error = parallel.map(task, 0..2).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "the error waits for nobody");
    assert_eq!(error.task_index(), Some(1), "{error}");
    assert_eq!(parallel.map(|n: u64| n + 1, 0..4).unwrap().results, [1, 2, 3, 4]);
    error
}

fn dies(task: fn(u64) -> u64, how: &str) {
    let error = failing(task);
    let message = error.to_string();
    assert!(error.is_worker_death(), "{message}");
    assert!(message.contains(how) && message.contains("task 1"), "{message}");
}

#[test]
fn a_worker_that_exits_is_named_with_its_status() {
    dies(
        |n| {
            if n == 1 { std::process::exit(42) } else { forever() }
        },
        "exit status 42",
    );
}

#[test]
fn a_worker_that_aborts_is_named_with_its_signal() {
    dies(
        |n| {
            if n == 1 { std::process::abort() } else { forever() }
        },
        "SIGABRT",
    );
}

#[test]
fn a_worker_that_crashes_is_named_with_its_signal() {
    fn crash(n: u64) -> u64 {
        if n != 1 {
            forever()
        }
        // SAFETY: none; a crash is what is asked for.
        unsafe { std::ptr::without_provenance::<u64>(8).read_volatile() }
    }
    dies(crash, "SIGSEGV");
}

#[test]
fn a_worker_that_is_killed_is_named_with_its_signal() {
    let kill_self = |n| {
        if n == 1 {
            system::kill("-KILL", std::process::id());
        }
        forever()
    };
    dies(kill_self, "SIGKILL");
}

#[test]
fn a_stack_overflow_takes_only_the_worker() {
    fn deep(n: u64) -> u64 {
        if n == 0 { 0 } else { std::hint::black_box(deep(std::hint::black_box(n + 1))) + 1 }
    }
    dies(|n| if n == 1 { deep(n) } else { forever() }, "SIGSEGV");
}

#[test]
fn a_panic_leaves_its_worker_alive_and_stops_the_others() {
    let error = failing(|n| if n == 1 { panic!("on purpose") } else { forever() });
    assert!(error.is_panic() && error.to_string().contains("on purpose"), "{error}");

    let parallel = pool(1);
    let pid = |_: u64| std::process::id();
    let before = parallel.map(pid, 0..1).unwrap().results;
    let error = parallel.map(|_: u64| -> u64 { panic!("again") }, 0..1).unwrap_err();
    assert!(error.to_string().contains(&before[0].to_string()), "names the process: {error}");
    assert_eq!(parallel.map(pid, 0..1).unwrap().results, before);
}

#[test]
fn a_worker_that_was_killed_while_idle_is_replaced() {
    let parallel = pool(1);
    let pid = |_: u64| std::process::id();
    let first = parallel.map(pid, 0..1).unwrap().results[0];
    system::kill("-KILL", first);
    system::eventually("the worker is buried", || !system::children().contains(&first));
    let second = parallel.map(pid, 0..1).unwrap().results[0];
    assert_ne!(first, second);
}

#[test]
fn tasks_behind_a_crashed_one_are_run_by_others() {
    // Two calls at once: one crashes the worker that the other one's tasks are queued at.
    let parallel = pool(1);
    std::thread::scope(|scope| {
        let crashing = scope.spawn(|| {
            for _ in 0..10 {
                let crash = |_: u64| -> u64 { std::process::abort() };
                assert!(parallel.map(crash, 0..1).unwrap_err().is_worker_death());
            }
        });
        for _ in 0..10 {
            let run = parallel.map(|n: u64| n * 2, 0..50).unwrap();
            assert_eq!(run.results, (0..50).map(|n| n * 2).collect::<Vec<_>>());
        }
        crashing.join().unwrap();
    });
}

#[test]
fn a_task_that_writes_to_the_private_socket_is_found_out() {
    use std::io::Write;
    fn scribble(_: u64) -> u64 {
        for fd in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
            let target = std::fs::read_link(fd.path()).unwrap_or_default();
            if target.to_string_lossy().starts_with("socket:") {
                // A socket cannot be opened by its path, so a copy of the descriptor does it.
                let number: i32 = fd.file_name().to_str().unwrap().parse().unwrap();
                // SAFETY: the descriptor is open, and closing it is part of the fault.
                let mut socket: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(number) };
                socket.write_all(b"this is no frame of ours").unwrap();
                std::mem::forget(socket);
            }
        }
        forever()
    }
    let parallel = pool(1);
    let error = parallel.map(scribble, 0..1).unwrap_err();
    assert!(error.to_string().contains("private socket"), "{error}");
    assert_eq!(parallel.map(|n: u64| n, 0..2).unwrap().results, [0, 1]);
}

/// Writes like a number, unless it is 3.
#[derive(Clone, Deserialize, Debug)]
struct Picky(u64);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 3 {
            return Err(serde::ser::Error::custom("three is not for others"));
        }
        serializer.serialize_u64(self.0)
    }
}

#[test]
fn an_argument_that_serde_refuses_is_an_error_at_the_call() {
    let parallel = pool(2);
    let error = parallel.map(|Picky(n)| n, (0..6).map(Picky)).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.task_index(), Some(3), "{message}");
    assert!(message.contains("three is not for others"), "{message}");
    assert_eq!(parallel.map(|Picky(n)| n, [Picky(1)]).unwrap().results, [1]);
    // Where it is the first, nothing has run: no worker was even started.
    let fresh = pool(2);
    let error = fresh.map(|Picky(n)| n, [Picky(3), Picky(1)]).unwrap_err();
    assert!(error.take_finished::<u64>().is_empty());
}

/// So large that it is sent while it is written. `last` comes at the end.
fn large(last: u64) -> Vec<Picky> {
    let mut numbers: Vec<Picky> = (0..1_000_000).map(|n| Picky(u64::MAX - n)).collect();
    numbers.push(Picky(last));
    numbers
}

#[test]
fn a_large_argument_that_serde_refuses_late_is_an_error_and_its_worker_lives_on() {
    fn first(numbers: Vec<Picky>) -> (u64, u32) {
        (numbers[0].0, std::process::id())
    }
    let parallel = pool(1);
    let before = parallel.map(first, [large(0)]).unwrap().results;
    // It is the last: one behind it might be running, and would be stopped with its worker.
    let error = parallel.map(first, [large(0), large(3)]).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.task_index(), Some(1), "{message}");
    assert!(message.contains("three is not for others"), "{message}");
    assert_eq!(parallel.map(first, [large(0)]).unwrap().results, before);
}

#[test]
fn a_worker_may_die_or_give_up_while_it_reads_a_large_argument() {
    /// Reads an eight as the end of the process, and a nine as an error.
    #[derive(Serialize)]
    struct Deadly(u64);
    impl<'de> Deserialize<'de> for Deadly {
        fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            match u64::deserialize(reader)? {
                8 => std::process::abort(),
                9 => Err(serde::de::Error::custom("nine is not for me")),
                n => Ok(Deadly(n)),
            }
        }
    }
    let parallel = pool(2);
    let with = |middle| -> Vec<Deadly> {
        let number = |n| Deadly(if n == 500_000 { middle } else { u64::MAX - n });
        (0..1_000_000).map(number).collect()
    };
    let length = |numbers: Vec<Deadly>| numbers.len();
    for _ in 0..5 {
        let error = parallel.map(length, [with(10), with(8)]).unwrap_err();
        assert!(error.is_worker_death(), "{error}");
        assert_eq!(error.task_index(), Some(1), "{error}");
        let error = parallel.map(length, [with(10), with(9)]).unwrap_err();
        assert!(error.to_string().contains("nine is not for me"), "{error}");
        assert_eq!(error.task_index(), Some(1), "{error}");
        let run = parallel.map(length, [with(10), with(11), with(12)]);
        assert_eq!(run.unwrap().results, [1_000_000; 3]);
    }
}

#[test]
fn a_result_that_cannot_be_carried_is_an_error() {
    let parallel = pool(1);
    let error = parallel.map(Picky, 0..6).unwrap_err();
    assert_eq!(error.task_index(), Some(3));
    assert!(error.to_string().contains("three is not for others"), "{error}");

    /// Reads only what it did not write.
    #[derive(Serialize, Debug)]
    struct OneWay(u64);
    impl<'de> Deserialize<'de> for OneWay {
        fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            String::deserialize(reader).map(|text| OneWay(text.len() as u64))
        }
    }
    let error = parallel.map(OneWay, 0..1).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("task 0 has run, but its result"), "{message}");
    assert!(message.contains("expected a string"), "{message}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("expected a string") && message.contains(&source), "{source}");
    let error = parallel.map(|OneWay(n)| n, [OneWay(1)]).unwrap_err();
    let message = error.to_string();
    let start = "task 0 has not run, since its worker could not read its argument: ";
    assert!(message.starts_with(start) && message.contains("expected a string"), "{message}");
    assert_eq!(parallel.map(|n: u64| n, 0..2).unwrap().results, [0, 1]);
}

#[test]
fn code_that_panics_while_a_value_is_carried_is_an_error() {
    #[derive(Debug)]
    struct Panics(u64);
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert_ne!(self.0, 1, "while writing");
            serializer.serialize_u64(self.0)
        }
    }
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            let n = u64::deserialize(reader)?;
            assert_ne!(n, 2, "while reading");
            Ok(Panics(n))
        }
    }
    let parallel = pool(1);
    for (n, words) in [(1, "while writing"), (2, "while reading")] {
        let as_argument = parallel.map(|Panics(n)| n, [Panics(n)]).unwrap_err();
        assert!(as_argument.to_string().contains(words), "{as_argument}");
        let as_result = parallel.map(Panics, [n]).unwrap_err();
        assert!(as_result.to_string().contains(words), "{as_result}");
    }
    assert_eq!(parallel.map(|Panics(n)| n, [Panics(3)]).unwrap().results, [3]);
}

#[test]
fn workers_end_when_their_parent_is_killed() {
    fn endless(_: u64) -> u64 {
        println!("worker {}", std::process::id());
        forever()
    }
    let name = "faults::workers_end_when_their_parent_is_killed";
    if system::is_alone() {
        println!();
        drop(pool(3).map(endless, 0..3));
        return;
    }
    let mut parent = system::alone(name).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pids: Vec<u32> = lines
        .filter_map(|line| line.unwrap().strip_prefix("worker ")?.parse().ok())
        .take(3)
        .collect();
    assert!(pids.iter().all(|&pid| system::is_running(pid)));
    parent.kill().unwrap();
    let killed = Instant::now();
    parent.wait().unwrap();
    system::eventually("the workers end", || !pids.iter().any(|&pid| system::is_running(pid)));
    println!("3 computing workers were gone {:?} after their parent", killed.elapsed());
    // Much longer than it takes, and much shorter than any timer would.
    assert!(killed.elapsed() < Duration::from_secs(1));
}

#[test]
fn nothing_is_left_after_many_pools_and_many_tasks() {
    let name = "faults::nothing_is_left_after_many_pools_and_many_tasks";
    system::in_a_process_of_its_own(name, || {
        let count = || (system::open_files(), system::threads(""), system::children().len());
        let one = || drop(pool(2).map(|n: u64| n, 0..2).unwrap());
        let memory = || system::kilobytes("/proc/self/status", "VmRSS:");
        (0..10).for_each(|_| one());
        let (before, memory_before) = (count(), memory());
        (0..1000).for_each(|_| one());
        assert_eq!(count(), before, "files, threads, children");
        let grown = memory().saturating_sub(memory_before);
        assert!(grown < 4000, "{grown} kB more after 1000 pools");

        let parallel = pool(2);
        let sum = |run: joblab::Run<u64>| run.results.iter().sum::<u64>();
        assert_eq!(sum(parallel.map(|n: u64| n, 0..20_000).unwrap()), 199_990_000);
        let (before, memory_before) = (count(), memory());
        let workers = system::children();
        let worker_memory =
            |&pid: &u32| system::kilobytes(&format!("/proc/{pid}/status"), "VmRSS:");
        let workers_before: u64 = workers.iter().map(worker_memory).sum();
        for _ in 0..5 {
            assert_eq!(sum(parallel.map(|n: u64| n, 0..20_000).unwrap()), 199_990_000);
        }
        assert_eq!(count(), before, "files, threads, children");
        let grown = memory().saturating_sub(memory_before);
        assert!(grown < 8000, "{grown} kB more after 100,000 tasks");
        let grown = workers.iter().map(worker_memory).sum::<u64>().saturating_sub(workers_before);
        assert!(grown < 2000, "the workers have {grown} kB more after 100,000 tasks");
        for pid in workers {
            let private: u64 = ["Private_Clean:", "Private_Dirty:"]
                .map(|field| system::kilobytes(&format!("/proc/{pid}/smaps_rollup"), field))
                .iter()
                .sum();
            assert!(private < 10_000, "an idle worker has {private} kB of its own");
        }
    });
}

#[test]
fn a_library_that_was_deleted_or_built_anew_is_never_called() {
    // A function of a library that is loaded at run time, as a notebook's cell is.
    let folder = std::env::temp_dir().join(format!("joblab-library-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let build = |name: &str, factor: u64| {
        let library = folder.join(name);
        let source = folder.join("cell.rs");
        let code = format!("#[unsafe(no_mangle)] pub fn cell(n: u64) -> u64 {{ n * {factor} }}");
        std::fs::write(&source, code).unwrap();
        let status = std::process::Command::new("rustc")
            .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
            .args([&library, &source])
            .status();
        assert!(status.unwrap().success());
        library
    };
    let load = |library: &std::path::Path| {
        let path = std::ffi::CString::new(library.to_str().unwrap()).unwrap();
        // SAFETY: the library was made above by the same compiler, with this function in it.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null());
            let symbol = libc::dlsym(handle, c"cell".as_ptr());
            std::mem::transmute::<*mut libc::c_void, fn(u64) -> u64>(symbol)
        }
    };
    let library = build("libcell.so", 2);
    let cell = load(&library);
    let used_before = pool(1);
    let unused = pool(1);
    assert_eq!(used_before.map(cell, [21]).unwrap().results, [42]);
    std::fs::remove_file(&library).unwrap();
    assert_eq!(used_before.map(cell, [21]).unwrap().results, [42], "its worker has it loaded");
    for rebuilt in [false, true] {
        if rebuilt {
            build("libcell.so", 3);
        }
        let error = unused.map(cell, [21]).unwrap_err();
        // Where the system does not say it here, the worker finds out, once.
        let missing = "could not be loaded";
        let expected = if cfg!(joblab_portable) { missing } else { "deleted or built anew" };
        assert!(error.to_string().contains(expected), "{error}");
        // A worker that comes to a pool that knows the library already.
        let worker = used_before.map(|_: u64| std::process::id(), 0..1).unwrap().results[0];
        system::kill("-KILL", worker);
        system::eventually("the worker is buried", || !system::children().contains(&worker));
        let error = used_before.map(cell, [21]).unwrap_err();
        let expected = if rebuilt { "was built anew" } else { missing };
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.task_index(), Some(0));
    }
    // As after running the cell again, which makes a library of another name.
    let cell = load(&build("libcell2.so", 4));
    assert_eq!(unused.map(cell, [21]).unwrap().results, [84]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_worker_that_runs_into_main_starts_no_workers_of_its_own() {
    let name = "faults::a_worker_that_runs_into_main_starts_no_workers_of_its_own";
    system::in_a_process_of_its_own(name, || {
        // As in a program that was linked without the start-up code that takes this away.
        // SAFETY: the harness's other thread waits for this one.
        unsafe { std::env::set_var("JOBLAB_WORKER", "1") };
        let error = pool(2).map(|n: u64| n, 0..3).unwrap_err();
        assert!(error.to_string().contains("has run into main"), "{error}");
        assert!(system::children().is_empty());
    });
}

#[test]
fn a_crash_in_every_other_call_never_stops_a_pool() {
    let parallel = pool(3);
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        let error = parallel.map(|n: u64| if n == 2 { std::process::abort() } else { n }, 0..6);
        assert!(error.unwrap_err().is_worker_death(), "round {round}");
        let who = |_: u64| {
            // So long that no worker can take them all.
            std::thread::sleep(Duration::from_millis(2));
            std::process::id()
        };
        seen.extend(parallel.map(who, 0..6).unwrap().results);
    }
    assert!(seen.len() > 3, "workers were replaced");
    assert!(system::children().iter().filter(|pid| seen.contains(pid)).count() <= 3);
}
