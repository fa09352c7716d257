//! The suite on every backend, and what is particular to one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use joblab::{Backend, CancelToken, Parallel, TaskRecord, conformance};

#[allow(dead_code, reason = "its main is for those who run the example")]
#[path = "../../examples/own_pool.rs"]
mod own_pool;

#[test]
fn sequential_keeps_all_promises() {
    conformance::check(|n| Parallel::new(n).backend(Backend::Sequential));
}

#[test]
fn threading_keeps_all_promises() {
    conformance::check(|n| Parallel::new(n).backend(Backend::Threading));
}

#[test]
#[cfg(unix)]
fn multiprocessing_keeps_all_promises() {
    conformance::check(|n| Parallel::new(n).backend(Backend::Multiprocessing));
}

#[test]
fn the_example_of_an_own_pool_keeps_all_promises() {
    conformance::check(|n| Parallel::with_pool(own_pool::Team::start(n as usize)));
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
    assert!(first.tasks.iter().all(|task| task.pid == std::process::id()));
    assert_eq!(first.n_workers, 3);

    let second = parallel.map(meet, 0..30).unwrap();
    let workers = ids(first.results);
    assert_eq!(workers.len(), 3);
    assert_eq!(workers, ids(second.results), "the second call has the same threads");
}

#[test]
fn sequential_is_the_calling_thread() {
    let caller = format!("{:?}", std::thread::current().id());
    let parallel = Parallel::new(4).backend(Backend::Sequential);
    let run = parallel.map(|_: u64| format!("{:?}", std::thread::current().id()), 0..10).unwrap();
    assert!(run.results.iter().all(|id| *id == caller));
    assert_eq!(run.n_workers, 1);
}

#[test]
fn tasks_are_pulled_as_workers_get_free() {
    // Other processes would have a counter of their own.
    static FINISHED: AtomicUsize = AtomicUsize::new(0);
    fn finish(n: usize) -> usize {
        // Too long to travel with others.
        std::thread::sleep(Duration::from_millis(1));
        FINISHED.fetch_add(1, Ordering::SeqCst);
        n
    }

    for (backend, n_jobs, look_ahead) in
        [(Backend::Sequential, 5, 1), (Backend::Threading, 1, 2), (Backend::Threading, 5, 10)]
    {
        let parallel = Parallel::new(n_jobs).backend(backend);
        FINISHED.store(0, Ordering::SeqCst);
        let tasks = (0..60).inspect(|&pulled| {
            let finished = FINISHED.load(Ordering::SeqCst);
            let ahead = pulled - finished.min(pulled);
            assert!(ahead < look_ahead, "{backend}: {ahead} tasks ahead");
        });
        assert_eq!(parallel.map(finish, tasks).unwrap().results.len(), 60);
    }
}

#[test]
fn sequential_takes_the_list_in_batches_of_the_size_asked_for() {
    // joblib's n_jobs=1: a task is run before the next one is made, or as many as a batch holds.
    static RUN: AtomicUsize = AtomicUsize::new(0);
    for batch_size in [1, 4] {
        RUN.store(0, Ordering::SeqCst);
        let parallel = Parallel::new(1).backend(Backend::Sequential).batch_size(batch_size);
        let inputs = (0..12).inspect(|n| {
            let run = RUN.load(Ordering::SeqCst);
            assert_eq!(run, n - n % batch_size, "when task {n} is made");
        });
        let count = |_: usize| RUN.fetch_add(1, Ordering::SeqCst);
        assert_eq!(parallel.map(count, inputs).unwrap().results.len(), 12);
    }
}

#[test]
fn threads_share_what_tasks_write() {
    static SEEN: std::sync::Mutex<Vec<u64>> = std::sync::Mutex::new(Vec::new());
    let push = |n| SEEN.lock().unwrap().push(n);
    drop(Parallel::new(3).map(push, 0..50).unwrap());
    let mut seen = std::mem::take(&mut *SEEN.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_task_in_a_thread_can_cancel_its_call() {
    for backend in [Backend::Sequential, Backend::Threading] {
        let token = CancelToken::new();
        let parallel = Parallel::new(2).backend(backend).cancel_token(&token);
        let search = |(n, token): (u64, CancelToken)| {
            if n == 50 {
                token.cancel();
            }
            n
        };
        let inputs = (0..).map(|n| (n, token.clone()));
        let error = parallel.map(search, inputs).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        assert!(token.is_cancelled());
        let finished = error.take_finished::<u64>();
        assert!(finished.iter().any(|(_, n)| *n == 50), "{backend}");
    }
}

const POOLS: &[Backend] = &[
    Backend::Threading,
    #[cfg(unix)]
    Backend::Multiprocessing,
];

#[test]
fn short_tasks_travel_together() {
    for &backend in POOLS {
        let largest = Arc::new(AtomicUsize::new(0));
        let (ours, before) = (Arc::clone(&largest), AtomicUsize::new(0));
        let parallel = Parallel::new(2).backend(backend).on_progress(move |progress| {
            let before = before.swap(progress.done, Ordering::Relaxed);
            ours.fetch_max(progress.done - before, Ordering::Relaxed);
        });
        drop(parallel.map(|n: u64| n, 0..10_000).unwrap());
        let largest = largest.load(Ordering::Relaxed);
        assert!(largest > 10, "{backend}: batches of {largest} tasks");
    }
}

#[test]
fn slow_tasks_behind_fast_ones_are_shared_out() {
    for &backend in POOLS {
        // Batches have grown by the time the slow ones come.
        let slow_end = |n: u64| std::thread::sleep(Duration::from_millis(n / 2_000 * 50));
        let parallel = Parallel::new(2).backend(backend);
        let run = parallel.map(slow_end, 0..2_008).unwrap();
        let who = |task: &TaskRecord| (task.pid, task.thread.clone());
        let slow = &run.tasks[2_000..];
        let first = slow.iter().filter(|task| who(task) == who(&slow[0]));
        assert!((2..=6).contains(&first.count()), "{backend}: {slow:?}");
    }
}
