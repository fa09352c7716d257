//! The pool of processes when all goes well: who works, what travels, what comes out.
#![allow(unsafe_code)] // set_var, in a process of its own

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use joblab::{Backend, Parallel, cpu_count, find_ids, wait_loop_withgil, with_gil};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::system;
use crate::timing::{N, cost_of_the_loop};

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

/// The worker's pid; long enough a task for all workers to get one.
fn who(_: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(30));
    std::process::id()
}

#[test]
fn workers_are_other_processes_and_are_reused() {
    let parallel = pool(3);
    let first = parallel.map(who, 0..9).unwrap();
    let pids: BTreeSet<u32> = first.results.iter().copied().collect();
    assert_eq!(pids.len(), 3);
    assert!(!pids.contains(&std::process::id()));
    let recorded: Vec<u32> = first.tasks.iter().map(|task| task.pid).collect();
    assert_eq!(recorded, first.results);
    let again: BTreeSet<u32> = parallel.map(who, 0..9).unwrap().results.into_iter().collect();
    assert_eq!(again, pids);

    let other = pool(2);
    let others: BTreeSet<u32> = other.map(who, 0..4).unwrap().results.into_iter().collect();
    assert!(others.is_disjoint(&pids), "two pools have different workers");
    drop(parallel);
    assert!(!pids.iter().any(|&pid| system::is_running(pid)), "they end when it is dropped");
    assert!(others.iter().all(|&pid| system::is_running(pid)), "and others do not");
    assert_eq!(other.map(who, 0..2).unwrap().results.len(), 2);
}

#[test]
fn a_pool_grows_only_to_what_it_needs() {
    let parallel = pool(8);
    let run = parallel.map(who, 0..2).unwrap();
    let pids: BTreeSet<u32> = run.results.into_iter().collect();
    assert!(pids.len() <= 2);
    let one = parallel.map(who, 0..1).unwrap().results[0];
    assert!(pids.contains(&one));
}

#[test]
fn processes_do_not_share_the_lock() {
    /// Holds the lock until the other task holds it too; false where that does not happen.
    fn meet((folder, own, other, patience): (PathBuf, u64, u64, u64)) -> bool {
        with_gil(|| {
            std::fs::write(folder.join(own.to_string()), "").unwrap();
            (0..patience).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                folder.join(other.to_string()).exists()
            })
        })
    }
    let folder = std::env::temp_dir().join(format!("joblab-lock-{}", std::process::id()));
    let both = |parallel: &Parallel, patience| {
        std::fs::create_dir_all(&folder).unwrap();
        let tasks = [(0, 1), (1, 0)].map(|(own, other)| (folder.clone(), own, other, patience));
        let run = parallel.map(meet, tasks).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        run.results
    };
    assert_eq!(both(&pool(2), 3000), [true, true]);
    let mut threads = both(&Parallel::new(2), 30);
    threads.sort_unstable();
    assert_eq!(threads, [false, true], "the first one waits in vain");
}

#[test]
fn cpu_time_of_workers_is_measured_by_them() {
    let run = pool(2).map(wait_loop_withgil, [N; 4]).unwrap();
    let sum: Duration = run.tasks.iter().map(|task| task.cpu).sum();
    assert_eq!(run.timing.worker_cpu, sum);
    for task in &run.tasks {
        assert!(task.cpu >= cost_of_the_loop() / 3, "{task:?}");
        assert!(task.start + task.wall <= run.timing.wall, "{task:?}");
    }
}

#[test]
fn this_process_hardly_works() {
    let name = "processes::this_process_hardly_works";
    system::in_a_process_of_its_own(name, || {
        let parallel = pool(2);
        drop(parallel.map(who, 0..2).unwrap());
        let timing = parallel.map(wait_loop_withgil, [900; 4]).unwrap().timing;
        assert!(timing.cpu < timing.worker_cpu / 50, "{timing:?}");
        // An idle pool waits and does not poll.
        let ((), idle) = joblab::time(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(idle.cpu < idle.wall / 100, "{idle:?}");
    });
}

#[test]
fn arguments_and_results_of_any_kind_and_size_travel() {
    type Nested = Result<Vec<(String, Option<f64>)>, String>;
    fn nested(n: u64) -> Nested {
        if n == 2 { Err("two".to_owned()) } else { Ok(vec![(n.to_string(), Some(0.5)); 3]) }
    }
    let parallel = pool(2);
    let run = parallel.map(nested, 0..4).unwrap();
    assert_eq!(run.results, (0..4).map(nested).collect::<Vec<_>>());
    assert_eq!(parallel.map(|()| (), [(); 3]).unwrap().results, [(); 3]);

    fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.reverse();
        bytes
    }
    for size in [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 30_000_000] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let run = parallel.map(reversed, [bytes.clone(), bytes.clone()]).unwrap();
        let expected = reversed(bytes);
        assert!(run.results.iter().all(|result| *result == expected), "{size} bytes");
    }
}

/// By CPU time, which tells what carrying costs on a busy machine too.
#[test]
fn a_large_list_of_numbers_costs_a_few_copies_of_it() {
    let name = "processes::a_large_list_of_numbers_costs_a_few_copies_of_it";
    system::in_a_process_of_its_own(name, || {
        let numbers = vec![0.5_f64; 12_500_000];
        let parallel = pool(1);
        let carry = || {
            let run = parallel.map(|numbers: Vec<f64>| numbers.len(), [numbers.clone()]).unwrap();
            assert_eq!(run.results, [numbers.len()]);
            run.timing.cpu + run.timing.worker_cpu
        };
        let copy = || joblab::time(|| drop(std::hint::black_box(numbers.clone()))).1.cpu;
        let least = |cost: &dyn Fn() -> Duration| (0..5).map(|_| cost()).min().unwrap();
        let (carried, copied) = (least(&carry), least(&copy));
        let copies = carried.as_secs_f64() / copied.as_secs_f64();
        println!("{carried:?} of CPU time, as much as {copies:.1} copies of {copied:?}");
        assert!(copies < 4.0, "it costs as much as {copies:.1} copies");
    });
}

#[test]
#[ignore = "takes 10 GB of memory; `cargo lab test` runs it"]
fn more_than_two_gigabytes_travel_both_ways() {
    let available = system::kilobytes("/proc/meminfo", "MemAvailable:");
    if available < 14_000_000 {
        println!("SKIPPED: only {available} kB of memory are available");
        return;
    }
    let run = pool(1).map(|bytes: Vec<u8>| bytes, [vec![7; 2_200_000_000]]).unwrap();
    assert_eq!(run.results[0].len(), 2_200_000_000);
    assert!(run.results[0].iter().all(|&byte| byte == 7));
}

#[test]
fn what_tasks_print_comes_out_whole_and_before_the_call_returns() {
    fn print_much(n: usize) {
        for line in 0..200 {
            println!("task {n} line {line} {}", "x".repeat(500));
            eprintln!("task {n} line {line} to stderr");
        }
        print!("task {n} ends without a newline");
    }
    let name = "processes::what_tasks_print_comes_out_whole_and_before_the_call_returns";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        println!();
        let run = pool(3).map(print_much, 0..6);
        println!("the call has returned");
        drop(run.unwrap());
    }) else {
        return;
    };
    let (before, after) = output.stdout.split_once("the call has returned").unwrap();
    assert!(!after.contains("task "), "late: {after}");
    let lines: BTreeSet<&str> = before.lines().collect();
    for n in 0..6 {
        for line in 0..200 {
            let whole = format!("task {n} line {line} {}", "x".repeat(500));
            assert!(lines.iter().any(|printed| printed.ends_with(&whole)), "{whole}");
            let whole = format!("task {n} line {line} to stderr");
            assert!(output.stderr.lines().any(|line| line == whole), "{whole}");
        }
        // Short tasks follow each other in a worker, as their output does in its stream.
        assert!(before.contains(&format!("task {n} ends without a newline")), "{n}");
    }
    assert!(before.ends_with("without a newline"), "nothing is added");
    assert!(!before.contains("to stderr"), "the streams are kept apart");
}

#[test]
fn find_ids_names_the_workers_process() {
    let name = "processes::find_ids_names_the_workers_process";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        println!();
        drop(
            pool(2)
                .map(
                    |n: u64| {
                        who(n);
                        find_ids()
                    },
                    0..4,
                )
                .unwrap(),
        );
        find_ids();
    }) else {
        return;
    };
    for process in ["WorkerProcess-0", "WorkerProcess-1", "MainProcess"] {
        let found = output.stdout.lines().any(|line| {
            line.starts_with("debug logging: ") && line.ends_with(&format!(" {process}"))
        });
        assert!(found, "{process} in {}", output.stdout);
    }
}

#[test]
fn libraries_in_workers_share_the_cpus() {
    fn variables(_: u64) -> Vec<String> {
        ["OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS"]
            .map(|name| std::env::var(name).unwrap_or_default())
            .to_vec()
    }
    let name = "processes::libraries_in_workers_share_the_cpus";
    system::in_a_process_of_its_own(name, || {
        // SAFETY: the harness's other thread waits for this one.
        unsafe { std::env::set_var("MKL_NUM_THREADS", "7") };
        let share = (cpu_count() / 2).max(1).to_string();
        let run = pool(2).map(variables, 0..1).unwrap();
        assert_eq!(run.results[0], [&share, &share, "7"]);
    });
}

#[test]
fn a_task_may_use_a_pool_of_its_own() {
    fn outer(n: u64) -> Vec<u64> {
        let inner = pool(2).map(|n: u64| n + 1, [n, 10 * n]);
        inner.unwrap().results
    }
    assert_eq!(pool(2).map(outer, 1..3).unwrap().results, [[2, 11], [3, 21]]);
}

#[test]
fn a_program_that_a_task_starts_holds_nothing_up() {
    fn start(_: u64) -> u32 {
        // It inherits the worker's output and lives on.
        std::process::Command::new("sleep").arg("60").spawn().unwrap().id()
    }
    let parallel = pool(1);
    let started = std::time::Instant::now();
    let sleeper = parallel.map(start, 0..1).unwrap().results[0];
    drop(parallel);
    assert!(started.elapsed() < Duration::from_secs(30));
    system::kill("-KILL", sleeper);
}

#[test]
fn a_context_is_sent_once_to_each_worker() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    static READ: AtomicUsize = AtomicUsize::new(0);
    struct Table(Vec<u64>);
    impl Serialize for Table {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            WRITTEN.fetch_add(1, Ordering::SeqCst);
            self.0.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Table {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            READ.fetch_add(1, Ordering::SeqCst);
            Vec::deserialize(reader).map(Table)
        }
    }
    let parallel = pool(2).with_state(|table: &Table| table.0.len(), Table(vec![7; 1_000]));
    let look_up = |n: u64, length: &mut usize| {
        let pid = who(n);
        (pid, *length, READ.load(Ordering::SeqCst))
    };
    let mut pids = BTreeSet::new();
    for _ in 0..2 {
        for (pid, length, read) in parallel.map(look_up, 0..8).unwrap().results {
            assert_eq!((length, read), (1_000, 1), "in worker {pid}");
            pids.insert(pid);
        }
    }
    assert_eq!(pids.len(), 2);
    assert_eq!(WRITTEN.load(Ordering::SeqCst), 1);
}
