//! One suite for every backend: what a call promises, and who did the work.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use joblab::{Backend, Parallel, delayed};

use crate::BACKENDS;

fn square(n: u64) -> u64 {
    n * n
}

/// Takes longest for the first tasks, so that later ones overtake them.
fn slow_start(n: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(12_u64.saturating_sub(n)));
    n
}

fn panics_at_five(n: u64) -> u64 {
    assert_ne!(n, 5, "five is right out");
    n
}

fn for_each_pool(check: impl Fn(&Parallel, Backend, usize)) {
    for &backend in BACKENDS {
        for n_jobs in [1, 2, 5] {
            let parallel = Parallel::new(n_jobs).backend(backend);
            let n_workers = match backend {
                Backend::Sequential => 1,
                _ => n_jobs as usize,
            };
            check(&parallel, backend, n_workers);
        }
    }
}

#[test]
fn results_equal_a_plain_loop() {
    for_each_pool(|parallel, backend, _| {
        let run = parallel.map(square, 0..200).unwrap();
        let expected: Vec<u64> = (0..200).map(square).collect();
        assert_eq!(run.results, expected, "{backend}");
    });
}

#[test]
fn results_and_records_come_in_the_order_of_the_tasks() {
    for_each_pool(|parallel, backend, _| {
        let run = parallel.map(slow_start, 0..20).unwrap();
        assert_eq!(run.results, (0..20).collect::<Vec<_>>(), "{backend}");
        let indices: Vec<usize> = run.tasks.iter().map(|task| task.index).collect();
        assert_eq!(indices, (0..20).collect::<Vec<_>>(), "{backend}");
    });
}

#[test]
fn an_empty_list_is_an_empty_run() {
    for_each_pool(|parallel, backend, _| {
        let run = parallel.map(square, []).unwrap();
        assert!(run.results.is_empty() && run.tasks.is_empty(), "{backend}");
    });
}

#[test]
fn a_list_can_be_run_again_and_mixes_functions() {
    for_each_pool(|parallel, backend, _| {
        let tasks = [delayed(square, 3), delayed(slow_start, 3)];
        for _ in 0..2 {
            assert_eq!(parallel.run(&tasks).unwrap().results, [9, 3], "{backend}");
        }
        assert_eq!(parallel.run(tasks).unwrap().results, [9, 3], "{backend}");
    });
}

#[test]
fn threads_do_the_work_side_by_side_and_are_reused() {
    static ALL_HERE: Barrier = Barrier::new(3);
    fn meet(_: u64) -> String {
        // Passes only when three tasks run at the same time.
        ALL_HERE.wait();
        format!("{:?}", std::thread::current().id())
    }

    let parallel = Parallel::new(3).backend(Backend::Threading);
    let ids = |results: Vec<String>| results.into_iter().collect::<BTreeSet<_>>();
    let first = parallel.map(meet, 0..3).unwrap();
    let names: BTreeSet<&str> = first.tasks.iter().map(|task| &*task.thread).collect();
    assert_eq!(names, BTreeSet::from(["worker-0", "worker-1", "worker-2"]));
    assert!(
        first
            .tasks
            .iter()
            .all(|task| task.pid == std::process::id())
    );
    assert_eq!(first.n_workers, 3);

    let second = parallel.map(meet, 0..30).unwrap();
    let workers = ids(first.results);
    assert_eq!(workers.len(), 3);
    assert_eq!(
        workers,
        ids(second.results),
        "the second call has the same threads"
    );
}

#[test]
fn sequential_is_the_calling_thread() {
    let caller = format!("{:?}", std::thread::current().id());
    let parallel = Parallel::new(4).backend(Backend::Sequential);
    let run = parallel
        .map(|_: u64| format!("{:?}", std::thread::current().id()), 0..10)
        .unwrap();
    assert!(run.results.iter().all(|id| *id == caller));
    assert_eq!(run.n_workers, 1);
}

#[test]
fn a_panic_names_its_task_and_the_pool_works_on() {
    for_each_pool(|parallel, backend, _| {
        let error = parallel.map(panics_at_five, 0..20).unwrap_err();
        assert!(error.is_panic(), "{backend}: {error}");
        assert_eq!(error.task_index(), Some(5), "{backend}: {error}");
        let message = error.to_string();
        assert!(
            message.contains("task 5") && message.contains("five is right out"),
            "{message}"
        );
        assert_eq!(
            parallel.map(square, 0..3).unwrap().results,
            [0, 1, 4],
            "{backend}"
        );
    });
}

#[test]
fn tasks_behind_a_failed_one_are_not_started() {
    fn first_fails(n: u64) -> u64 {
        assert_ne!(n, 0);
        // Longer than it takes to print a backtrace on a busy machine.
        std::thread::sleep(Duration::from_millis(300));
        n
    }

    for_each_pool(|parallel, backend, _| {
        // An endless list ends all the same.
        let error = parallel.map(first_fails, 0..).unwrap_err();
        assert_eq!(error.task_index(), Some(0), "{backend}");
        let finished = error.take_finished::<u64>().len();
        assert!(finished <= 20, "{backend}: {finished} tasks ran");
    });
}

#[test]
fn results_that_were_finished_before_a_failure_are_kept() {
    fn last_fails(n: u64) -> u64 {
        // The others have long ended then.
        std::thread::sleep(Duration::from_millis(if n == 9 { 150 } else { 0 }));
        assert_ne!(n, 9, "the last one");
        n * 10
    }

    for_each_pool(|parallel, backend, _| {
        let error = parallel.map(last_fails, 0..10).unwrap_err();
        assert_eq!(error.task_index(), Some(9), "{backend}");
        let finished: Vec<(usize, u64)> = (0..9).map(|n| (n as usize, n * 10)).collect();
        assert!(error.take_finished::<String>().is_empty(), "another type");
        assert_eq!(error.take_finished::<u64>(), finished, "{backend}");
        assert!(error.take_finished::<u64>().is_empty(), "taken once");
    });
}

#[test]
fn tasks_are_pulled_as_workers_get_free() {
    static FINISHED: AtomicUsize = AtomicUsize::new(0);
    fn finish(n: usize) -> usize {
        // Too long to travel with others.
        std::thread::sleep(Duration::from_millis(1));
        FINISHED.fetch_add(1, Ordering::SeqCst);
        n
    }

    for_each_pool(|parallel, backend, n_workers| {
        let look_ahead = match backend {
            Backend::Sequential => 1,
            Backend::Threading => 2 * n_workers,
            // Other processes have a counter of their own.
            _ => return,
        };
        FINISHED.store(0, Ordering::SeqCst);
        let tasks = (0..60).inspect(|&pulled| {
            let finished = FINISHED.load(Ordering::SeqCst);
            let ahead = pulled - finished.min(pulled);
            assert!(ahead < look_ahead, "{backend}: {ahead} tasks ahead");
        });
        assert_eq!(parallel.map(finish, tasks).unwrap().results.len(), 60);
    });
}

#[test]
fn an_iterator_that_panics_is_an_error_and_the_pool_works_on() {
    for_each_pool(|parallel, backend, _| {
        let inputs = (0..20).inspect(|&n| assert_ne!(n, 7, "no more input"));
        let error = parallel.map(square, inputs).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("task 7") && message.contains("no more input"),
            "{message}"
        );
        assert_eq!(
            parallel.map(square, 0..3).unwrap().results,
            [0, 1, 4],
            "{backend}"
        );
    });
}

#[test]
fn two_threads_may_call_at_once() {
    for_each_pool(|parallel, backend, _| {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| parallel.map(square, 0..300).unwrap().results);
            let here = parallel.map(square, 300..600).unwrap().results;
            assert_eq!(
                here,
                (300..600).map(square).collect::<Vec<_>>(),
                "{backend}"
            );
            let there = other.join().unwrap();
            assert_eq!(there, (0..300).map(square).collect::<Vec<_>>(), "{backend}");
        });
    });
}
