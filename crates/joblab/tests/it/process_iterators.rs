//! Faults in calls that go on: a worker process that dies or is late takes its own task along, and
//! no other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use joblab::{Backend, CancelToken, Error, Parallel, delayed};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

fn kill_self() {
    system::kill("-KILL", std::process::id());
    // The signal may take a moment.
    std::thread::sleep(Duration::from_secs(60));
}

/// Kills its worker where the two are equal, and tells who ran it.
fn killed_at((victim, n): (u64, u64)) -> (u64, u32) {
    if n == victim {
        kill_self();
    }
    (n, std::process::id())
}

#[test]
fn a_killed_worker_fails_exactly_its_task() {
    for batch_size in [1, 5] {
        let parallel = pool(2).batch_size(batch_size);
        let tasks = (0..20).map(|n| delayed(killed_at, (7, n)));
        let outcomes: Vec<_> = parallel.iter(tasks).unwrap().collect();
        assert_eq!(outcomes.len(), 20);
        let mut pids = BTreeSet::new();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok((result, pid)) => {
                    assert_eq!(result, n as u64);
                    pids.insert(pid);
                }
                Err(error) => {
                    assert_eq!((n, error.task_index()), (7, Some(7)), "{error}");
                    assert!(error.is_worker_death(), "{error}");
                    let message = error.to_string();
                    assert!(message.contains("SIGKILL"), "{message}");
                    assert!(message.contains("task 7"), "{message}");
                }
            }
        }
        assert!(!pids.contains(&std::process::id()));
        let again = parallel.map(|_: u64| std::process::id(), 0..20).unwrap();
        let alive = again.results.iter().all(|pid| system::is_running(*pid));
        assert!(alive, "the next call is on workers that live");
    }
}

#[test]
fn an_unordered_iterator_tells_which_worker_died() {
    let parallel = pool(2);
    let tasks = (0..10).map(|n| delayed(killed_at, (4, n)));
    let outcomes = parallel.iter_unordered(tasks).unwrap();
    let (done, failed): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    let mut indices: Vec<usize> = done.into_iter().map(|done| done.unwrap().0).collect();
    indices.sort_unstable();
    assert_eq!(indices, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    let failed: Vec<_> = failed.into_iter().map(Result::unwrap_err).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].task_index(), Some(4));
}

#[test]
fn results_behind_a_killed_worker_wait_for_it() {
    // Batches grow, then a death makes them small again, with many results behind the gap.
    fn dies_late(n: u64) -> u64 {
        if n == 300 {
            std::thread::sleep(Duration::from_millis(300));
            kill_self();
        }
        n
    }
    let parallel = pool(2);
    let outcomes = parallel.iter((0..2_000).map(|n| delayed(dies_late, n)));
    let outcomes: Vec<_> = outcomes.unwrap().collect();
    assert_eq!(outcomes.len(), 2_000);
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(result) => assert_eq!(result, n as u64),
            Err(error) => assert_eq!((n, error.task_index()), (300, Some(300)), "{error}"),
        }
    }
}

#[test]
fn retries_run_tasks_of_killed_workers_again() {
    /// Kills its worker when it is first run.
    fn killed_once((folder, n): (PathBuf, u64)) -> (u64, u32) {
        let mark = folder.join(n.to_string());
        if n % 5 == 2 && !mark.exists() {
            std::fs::write(&mark, std::process::id().to_string()).unwrap();
            kill_self();
        }
        (n, std::process::id())
    }
    for batch_size in [1, 4] {
        let folder = std::env::temp_dir().join(format!("joblab-retries-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let parallel = pool(2).retries(1).batch_size(batch_size);
        let inputs = (0..15).map(|n| (folder.clone(), n));
        let results = parallel.map(killed_once, inputs).unwrap().results;
        for (n, (result, pid)) in results.into_iter().enumerate() {
            assert_eq!(result, n as u64);
            if let Ok(first) = std::fs::read_to_string(folder.join(n.to_string())) {
                assert_ne!(pid.to_string(), first, "another worker ran it again");
                assert!(!system::is_running(first.parse().unwrap()));
            }
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let error = pool(2).retries(1).map(killed_at, [(0, 0)]).unwrap_err();
    assert!(error.is_worker_death(), "{error}");
    assert!(error.to_string().ends_with("; it was attempt 2 of 2"), "{error}");
}

fn forever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Never ends where the two are equal.
fn stuck_at((victim, n): (u64, u64)) -> u32 {
    if n == victim {
        forever();
    }
    std::thread::sleep(Duration::from_millis(10));
    std::process::id()
}

#[test]
fn a_late_worker_is_stopped_and_replaced_and_the_others_go_on() {
    let parallel = pool(2).task_timeout(Duration::from_millis(400));
    let before = parallel.map(stuck_at, (1..9).map(|n| (0, n))).unwrap();
    let before = BTreeSet::from_iter(before.results);
    assert_eq!(before.len(), 2, "both workers have had tasks");

    let tasks = (0..12).map(|n| delayed(stuck_at, (3, n)));
    let outcomes: Vec<_> = parallel.iter(tasks).unwrap().collect();
    let failed: Vec<&Error> = outcomes.iter().filter_map(|one| one.as_ref().err()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let error = failed[0];
    assert_eq!(error.task_index(), Some(3), "{error}");
    assert!(error.is_timeout() && outcomes[3].is_err(), "{error}");
    let stopped: Vec<&u32> = before
        .iter()
        .filter(|pid| error.to_string().contains(&format!("process {pid} ")))
        .collect();
    assert_eq!(stopped.len(), 1, "{error}");
    assert!(!system::is_running(*stopped[0]), "{error}");

    let after = parallel.map(stuck_at, (1..9).map(|n| (0, n))).unwrap();
    let after = BTreeSet::from_iter(after.results);
    assert_eq!(after.len(), 2, "the late one is replaced");
    assert_eq!(after.intersection(&before).count(), 1, "the other works on");
}

#[test]
fn stopped_calls_do_not_wait_for_processes() {
    let token = CancelToken::new();
    let cancel = token.clone();
    let limit = Duration::from_secs(1);
    let stopped = [
        pool(2).call_timeout(limit),
        pool(2).stall_timeout(limit),
        pool(2).cancel_token(&token).on_progress(move |_| cancel.cancel()),
    ];
    for parallel in &stopped {
        let started = Instant::now();
        let error = parallel.map(stuck_at, [(0, 1), (0, 0)]).unwrap_err();
        assert!(error.is_timeout() || error.is_cancelled(), "{error}");
        assert_eq!(error.take_finished::<u32>().len(), 1, "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{error}");
    }
}

#[test]
fn a_dropped_iterator_stops_what_runs_and_harms_no_other_call() {
    let parallel = pool(2);
    let mut first = parallel.iter((0..10).map(|n| delayed(stuck_at, (1, n)))).unwrap();
    assert!(first.next().unwrap().is_ok());
    let started = Instant::now();
    drop(first);
    let run = parallel.map(stuck_at, (1..21).map(|n| (0, n))).unwrap();
    assert_eq!(run.results.len(), 20);
    let pids = BTreeSet::from_iter(run.results);
    assert!(!pids.is_empty() && pids.len() <= 3, "{pids:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    // The task that never ends has gone with its worker.
    system::eventually("only workers of the pool are left", || {
        let busy = |pid: &u32| pids.contains(pid) && system::is_running(*pid);
        pids.iter().filter(|pid| busy(pid)).count() <= 2
    });
}

#[test]
fn a_program_that_ends_with_work_pending_leaves_no_process() {
    fn endless(n: u64) -> u64 {
        println!("worker {}", std::process::id());
        if n > 0 {
            forever();
        }
        n
    }
    let name = "process_iterators::a_program_that_ends_with_work_pending_leaves_no_process";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        println!();
        let parallel = pool(2);
        let mut results = parallel.iter((0..10).map(|n| delayed(endless, n))).unwrap();
        assert_eq!(results.next().unwrap().unwrap(), 0);
        // As a program that has its one result, and does not think of the others.
        std::mem::forget(results);
        println!("test result: ok. 1 passed");
        std::process::exit(0);
    }) else {
        return;
    };
    let lines = output.stdout.lines();
    let pids: Vec<u32> =
        lines.filter_map(|line| line.strip_prefix("worker ")?.parse().ok()).collect();
    assert!(!pids.is_empty());
    system::eventually("the workers end", || !pids.iter().any(|pid| system::is_running(*pid)));
}
