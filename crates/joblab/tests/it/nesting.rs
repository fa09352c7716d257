//! Calls inside of tasks: right, bounded, and never stuck.

#[cfg(unix)]
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use joblab::{Backend, Parallel, cpu_count};

use crate::BACKENDS;
#[cfg(unix)]
use crate::system;

fn square(n: u64) -> u64 {
    n * n
}

fn pool(backend: &str, n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(backend.parse().unwrap())
}

/// Each pair of a backend for tasks and one for the calls in them, by their names, which travel.
fn for_each_pair(check: impl Fn(&str, &str)) {
    for outer in BACKENDS {
        for inner in BACKENDS {
            check(&outer.to_string(), &inner.to_string());
        }
    }
}

#[test]
fn every_pair_of_backends_gives_the_right_results() {
    fn inner((backend, n_jobs, n): (String, i32, u64)) -> Vec<u64> {
        let run = pool(&backend, n_jobs).map(square, n..n + 5);
        run.unwrap().results
    }
    for_each_pair(|outer, backend| {
        for n_jobs in [2, -1] {
            let tasks = (0..6).map(|n| (backend.to_owned(), n_jobs, n));
            let results = pool(outer, n_jobs).map(inner, tasks).unwrap().results;
            let expected: Vec<Vec<u64>> =
                (0..6).map(|n| (n..n + 5).map(square).collect()).collect();
            assert_eq!(results, expected, "{backend} in {outer}, {n_jobs} jobs");
        }
    });
}

#[test]
fn all_cpus_inside_of_a_task_are_its_share() {
    fn inner(backend: String) -> [usize; 3] {
        [-1, -2, 3].map(|n_jobs| {
            let parallel = pool(&backend, n_jobs);
            let run = parallel.map(square, 0..4).unwrap();
            assert_eq!(run.n_workers, parallel.effective_n_jobs().unwrap());
            run.n_workers
        })
    }
    for_each_pair(|outer, backend| {
        for n_jobs in [1, 2, -1] {
            let outer = pool(outer, n_jobs);
            let n_workers = outer.effective_n_jobs().unwrap();
            let share = (cpu_count() / n_workers).max(1);
            let expected = match backend {
                "sequential" => [1; 3],
                // What is asked for explicitly is had.
                _ => [share, (share - 1).max(1), 3],
            };
            let run = outer.map(inner, vec![backend.to_owned(); 4]).unwrap();
            for seen in run.results {
                assert_eq!(seen, expected, "{backend} in {outer:?}");
            }
        }
    });
}

#[test]
fn all_cpus_in_all_cpus_are_no_more_workers_than_cpus() {
    /// The most tasks of calls in this process's tasks that ran at the same time.
    fn inner(_: u64) -> usize {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        fn count(_: u64) -> usize {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::sleep(Duration::from_millis(20));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            running
        }
        let counts = Parallel::new(-1).map(count, 0..4).unwrap().results;
        counts.into_iter().max().unwrap()
    }
    for backend in BACKENDS {
        let outer = pool(&backend.to_string(), -1);
        let most = match backend {
            // Each process counts its own share.
            Backend::Multiprocessing => cpu_count() / outer.effective_n_jobs().unwrap(),
            _ => cpu_count(),
        };
        let counts = outer.map(inner, 0..6).unwrap().results;
        assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    }
}

#[test]
fn the_third_level_has_no_workers_of_its_own() {
    fn who() -> (u32, String) {
        let thread = format!("{:?}", std::thread::current().id());
        (std::process::id(), thread)
    }
    /// The workers of all calls below, and whether the third level ran in the thread that called.
    fn deeper((depth, backend): (u64, String)) -> bool {
        let parallel = pool(&backend, 4);
        if depth == 2 {
            let caller = who();
            let run = parallel.map(|()| who(), [(); 8]).unwrap();
            return run.n_workers == 1 && run.results.iter().all(|worker| *worker == caller);
        }
        let run = parallel.map(deeper, vec![(depth + 1, backend); 2]).unwrap();
        run.results == [true, true]
    }
    for backend in BACKENDS {
        assert!(deeper((0, backend.to_string())), "{backend}");
    }
}

#[test]
fn a_recursion_without_an_end_is_an_error() {
    fn bomb((backend, depth): (String, u64)) -> Result<u64, String> {
        assert!(depth < 50, "nothing stops it");
        let inputs = vec![(backend.clone(), depth + 1); 2];
        let run = pool(&backend, 2).try_map(bomb, inputs);
        // The innermost error, and not what each level around says of it.
        let run = run.map_err(|error| error.take_cause().unwrap_or(error.to_string()));
        Ok(run?.results.len() as u64)
    }
    for backend in BACKENDS {
        let error = bomb((backend.to_string(), 0)).unwrap_err();
        assert!(error.contains("nested in each other's"), "{error}");
        // The program can go on.
        let parallel = pool(&backend.to_string(), 2);
        assert_eq!(parallel.map(square, 0..3).unwrap().results, [0, 1, 4]);
    }
}

#[test]
fn a_pool_that_is_called_by_its_own_tasks_is_not_stuck() {
    static POOLS: [OnceLock<Parallel>; 3] = [const { OnceLock::new() }; 3];
    /// In a worker process this is a pool of that process.
    fn pool_of(backend: usize) -> &'static Parallel {
        POOLS[backend].get_or_init(|| Parallel::new(2).backend(BACKENDS[backend]))
    }
    fn inner((backend, n): (usize, u64)) -> Vec<u64> {
        // Each worker of the pool waits for results of the pool.
        std::thread::sleep(Duration::from_millis(20));
        pool_of(backend).map(square, n..n + 3).unwrap().results
    }
    for (backend, name) in BACKENDS.iter().enumerate() {
        let tasks = (0..8).map(|n| (backend, n));
        let results = pool_of(backend).map(inner, tasks).unwrap().results;
        let expected = (0..8).map(|n| (n..n + 3).map(square).collect::<Vec<_>>());
        assert!(results.into_iter().eq(expected), "{name}");
    }
}

#[test]
fn two_pools_that_call_each_other_are_not_stuck() {
    static ONE: OnceLock<Parallel> = OnceLock::new();
    static OTHER: OnceLock<Parallel> = OnceLock::new();
    fn call((depth, n): (u64, u64)) -> u64 {
        let pool = [&ONE, &OTHER][depth as usize % 2].get_or_init(|| Parallel::new(2));
        if depth == 4 {
            return 1;
        }
        let run = pool.map(call, vec![(depth + 1, n); 2]).unwrap();
        run.results.into_iter().sum()
    }
    assert_eq!(call((0, 0)), 16);
}

#[test]
fn a_failure_in_an_inner_call_comes_out_with_both_indices() {
    fn outer(n: u64) -> u64 {
        fn inner(n: u64) -> u64 {
            assert_ne!(n, 23, "not this one");
            n
        }
        let run = Parallel::new(2).map(inner, 10 * n..10 * n + 5);
        run.unwrap().results.into_iter().sum()
    }
    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend);
        let error = parallel.map(outer, 0..5).unwrap_err();
        assert_eq!(error.task_index(), Some(2), "{error}");
        let message = error.to_string();
        for part in ["task 2 panicked", "task 3 panicked", "not this one"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert_eq!(parallel.map(square, 0..3).unwrap().results, [0, 1, 4]);
    }
}

#[test]
fn an_iterator_inside_of_a_task_is_read_to_its_end() {
    fn inner(n: u64) -> u64 {
        let parallel = Parallel::new(2).backend(Backend::Threading);
        let tasks = (n..n + 5).map(|n| joblab::delayed(square, n));
        parallel.iter(tasks).unwrap().map(Result::unwrap).sum()
    }
    for &backend in BACKENDS {
        let run = Parallel::new(2).backend(backend).map(inner, 0..4).unwrap();
        assert_eq!(run.results, [30, 55, 90, 135], "{backend}");
    }
}

#[test]
#[cfg(unix)]
fn processes_inside_of_tasks_end_with_them() {
    fn inner(_: u64) -> Vec<u32> {
        let parallel = pool("multiprocessing", 2);
        parallel.map(|()| std::process::id(), [(); 4]).unwrap().results
    }
    for outer in BACKENDS {
        let run = pool(&outer.to_string(), 2).map(inner, 0..3).unwrap();
        let pids: BTreeSet<u32> = run.results.into_iter().flatten().collect();
        assert!(!pids.contains(&std::process::id()));
        assert!(!pids.iter().any(|pid| system::is_running(*pid)), "{outer}");
    }
}
