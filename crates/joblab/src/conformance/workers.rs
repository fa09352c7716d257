//! Workers: how many there are, what they keep, and what they say of their work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::suite::{Make, Marks, Worker, file, mark, promises, sleep, square, worker, works_on};
use crate::measure::{Run, TaskRecord};
use crate::parallel::Parallel;
use crate::tutorial::wait_loop_nogil;

promises![
    work_is_spread_over_all_workers,
    work_is_spread_after_tasks_that_travelled_together_too,
    work_is_spread_from_a_background_thread_too,
    large_batches_keep_all_workers_busy,
    no_more_tasks_run_at_once_than_there_are_workers,
    records_tell_what_happened,
    each_worker_makes_its_state_once,
    a_state_that_cannot_be_made_is_an_error,
];

/// Waits until as many tasks as there are workers run at the same time.
fn meet((folder, task, n_workers): (PathBuf, u64, u64)) -> (Worker, bool) {
    mark(&folder, task);
    let is_here = |task| file(&folder, task, 0).exists();
    let have_met = (0..10_000).any(|_| {
        sleep(2);
        (0..n_workers).all(is_here)
    });
    (worker(), have_met)
}

fn meet_on(parallel: &Parallel) -> Run<(Worker, bool)> {
    let n_workers = parallel.effective_n_jobs().unwrap() as u64;
    let marks = Marks::new();
    let tasks = (0..n_workers).map(|task| (marks.folder(), task, n_workers));
    let run = parallel.map(meet, tasks).unwrap();
    assert_eq!(run.n_workers as u64, n_workers);
    let have_met = run.results.iter().all(|(_, have_met)| *have_met);
    assert!(have_met, "{n_workers} tasks never ran at the same time");
    let workers: BTreeSet<&Worker> = run.results.iter().map(|(worker, _)| worker).collect();
    assert_eq!(workers.len() as u64, n_workers, "{workers:?}");
    run
}

fn work_is_spread_over_all_workers(make: Make<'_>) {
    for n_jobs in [1, 2, 4] {
        let run = meet_on(&make(n_jobs));
        let at_once = most_at_once(&run.tasks);
        assert_eq!(at_once, run.n_workers, "by their records: {:?}", run.tasks);
    }
}

fn work_is_spread_after_tasks_that_travelled_together_too(make: Make<'_>) {
    let parallel = make(3);
    drop(parallel.map(square, 0..20_000).unwrap());
    let run = meet_on(&parallel);
    assert_eq!(run.results.len(), run.n_workers);
}

fn large_batches_keep_all_workers_busy(make: Make<'_>) {
    const BATCH: u64 = 10;
    /// The first task of each batch waits for that of the others.
    fn meet_at_first((folder, task, n_workers): (PathBuf, u64, u64)) -> bool {
        !task.is_multiple_of(BATCH) || meet((folder, task / BATCH, n_workers)).1
    }
    let parallel = make(3).batch_size(BATCH as usize);
    let n_workers = parallel.effective_n_jobs().unwrap() as u64;
    let marks = Marks::new();
    let tasks = (0..n_workers * BATCH).map(|task| (marks.folder(), task, n_workers));
    let run = parallel.map(meet_at_first, tasks).unwrap();
    assert!(run.results.iter().all(|have_met| *have_met));
}

fn work_is_spread_from_a_background_thread_too(make: Make<'_>) {
    let parallel = make(3);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| meet_on(&parallel)).join().unwrap();
        assert_eq!(run.results.len(), run.n_workers);
    });
}

fn no_more_tasks_run_at_once_than_there_are_workers(make: Make<'_>) {
    for n_jobs in [1, 3] {
        let run = make(n_jobs).map(|_: u64| sleep(2), 0..60).unwrap();
        let at_once = most_at_once(&run.tasks);
        let n_workers = run.n_workers;
        assert!(at_once <= n_workers, "{at_once} tasks at once");
    }
}

/// How many tasks ran at the same time, by their records.
fn most_at_once(tasks: &[TaskRecord]) -> usize {
    let at_start_of = |one: &TaskRecord| {
        let runs =
            |other: &&TaskRecord| other.start <= one.start && one.start < other.start + other.wall;
        tasks.iter().filter(runs).count()
    };
    tasks.iter().map(at_start_of).max().unwrap_or(0)
}

fn records_tell_what_happened(make: Make<'_>) {
    fn work_or_sleep(task: u64) -> u32 {
        if task.is_multiple_of(2) {
            wait_loop_nogil(300);
        } else {
            sleep(30);
        }
        std::process::id()
    }
    for n_jobs in [1, 2] {
        let parallel = make(n_jobs);
        let run = parallel.map(work_or_sleep, 0..8).unwrap();
        let sum: Duration = run.tasks.iter().map(|task| task.cpu).sum();
        assert_eq!(run.timing.worker_cpu, sum, "worker_cpu is the tasks'");
        for (index, (task, pid)) in run.tasks.iter().zip(&run.results).enumerate() {
            assert_eq!(task.index, index);
            assert_eq!(task.pid, *pid, "{task:?}");
            assert!(!task.thread.is_empty(), "{task:?}");
            assert!(task.start + task.wall <= run.timing.wall, "{task:?}");
            // Clocks of two kinds need not tick alike.
            let most = task.wall.mul_f64(1.1) + Duration::from_millis(1);
            assert!(task.cpu <= most, "{task:?}");
            let sleeps = index % 2 == 1;
            assert!(!sleeps || task.wall >= Duration::from_millis(30), "{task:?}");
            assert!(!sleeps || task.cpu < task.wall / 3, "{task:?}");
            assert!(sleeps || task.cpu > Duration::from_micros(100), "{task:?}");
        }
    }
}

/// Who made it, and how many tasks have seen it.
struct State(Worker, u64);

fn each_worker_makes_its_state_once(make: Make<'_>) {
    fn see(_: u64, state: &mut State) -> (Worker, Worker, u64) {
        sleep(1);
        state.1 += 1;
        (state.0.clone(), worker(), state.1)
    }
    let marks = Marks::new();
    let make_state = |folder: &PathBuf| {
        mark(folder, 0);
        State(worker(), 0)
    };
    let parallel = make(2).with_state(make_state, marks.folder());
    assert_eq!(marks.count(), 0, "before the first task");
    let mut seen: BTreeMap<Worker, Vec<u64>> = BTreeMap::new();
    for _ in 0..2 {
        for (maker, user, nth) in parallel.map(see, 0..20).unwrap().results {
            assert_eq!(maker, user, "a task has its own worker's state");
            seen.entry(user).or_default().push(nth);
        }
    }
    assert_eq!(seen.len(), marks.count(), "states made");
    for (worker, mut tasks) in seen {
        tasks.sort_unstable();
        let all: Vec<u64> = (1..=tasks.len() as u64).collect();
        assert_eq!(tasks, all, "{worker:?} keeps its state");
    }
}

fn a_state_that_cannot_be_made_is_an_error(make: Make<'_>) {
    fn broken(file: &String) -> u64 {
        panic!("{file} is not there")
    }
    let parallel = make(2).with_state(broken, "the model".to_owned());
    for _ in 0..2 {
        let error = parallel.map(|n: u64, _| n, 0..4).unwrap_err();
        assert!(error.task_index().is_some(), "{error}");
        let message = error.to_string();
        assert!(message.contains("the model is not there"), "{message}");
    }
    works_on(&make(2));
}
