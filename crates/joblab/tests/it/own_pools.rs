//! Pools of one's own that break their word: an error, and no hang.

use std::sync::Mutex;

#[cfg(feature = "conformance")]
use joblab::conformance;
use joblab::{Error, Job, Parallel, Pool, delayed};

/// A pool that does with jobs what it is told.
struct Does<F>(usize, F);

impl<F: Fn(Job) -> Result<(), Error> + Send + Sync> Pool for Does<F> {
    fn n_workers(&self) -> usize {
        self.0
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        (self.1)(job)
    }
}

fn same(n: u64) -> u64 {
    n
}

fn run(job: Job) -> Result<(), Error> {
    job.run();
    Ok(())
}

#[test]
fn a_pool_without_workers_is_an_error() {
    let error = Parallel::with_pool(Does(0, run)).map(same, 0..3).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert!(error.to_string().contains("has no workers"), "{error}");
}

#[test]
fn an_error_of_the_pool_is_that_of_the_call() {
    let refuse = |_| Err(Error::other("no paper"));
    let parallel = Parallel::with_pool(Does(2, refuse));
    let error = parallel.map(same, 0..3).unwrap_err();
    assert_eq!(error.to_string(), "no paper");
    assert!(!error.is_invalid() && !error.is_panic());
    let mut results = parallel.iter((0..3).map(|n| delayed(same, n))).unwrap();
    assert!(results.next().unwrap().is_err());
    assert!(results.next().is_none());
}

#[test]
fn tasks_of_dropped_jobs_are_errors_each() {
    // Every other job gets lost.
    let jobs = Mutex::new(0);
    let lossy = move |job| {
        let mut jobs = jobs.lock().unwrap();
        *jobs += 1;
        if *jobs % 2 == 0 { Ok(()) } else { run(job) }
    };
    let parallel = Parallel::with_pool(Does(2, lossy)).batch_size(3);
    let error = parallel.map(same, 0..12).unwrap_err();
    assert!(error.to_string().contains("broke down"), "{error}");
    let tasks = (0..12).map(|n| delayed(same, n));
    let outcomes: Vec<_> = parallel.iter(tasks).unwrap().collect();
    assert_eq!(outcomes.len(), 12);
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(result) => assert_eq!(result, n as u64),
            Err(error) => assert_eq!(error.task_index(), Some(n), "{error}"),
        }
    }
}

#[test]
fn jobs_may_be_run_in_any_order() {
    let kept = Mutex::new(Vec::new());
    let backwards = move |job| {
        let mut kept = kept.lock().unwrap();
        kept.push(job);
        if kept.len() == 4 {
            kept.drain(..).rev().for_each(Job::run);
        }
        Ok(())
    };
    let parallel = Parallel::with_pool(Does(2, backwards));
    let tasks = || (0..40).map(|n| delayed(same, n));
    let expected: Vec<u64> = (0..40).collect();
    assert_eq!(parallel.run(tasks()).unwrap().results, expected);
    let results = parallel.iter(tasks()).unwrap().map(Result::unwrap);
    assert!(results.eq(expected));
}

#[test]
fn what_borrows_cannot_run_on_an_own_pool_and_the_error_says_so() {
    let parallel = Parallel::with_pool(Does(2, run)).sharedmem();
    let error = parallel.map(|n: u64| n, 0..3).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    let message = error.to_string();
    assert!(message.contains("a pool of your own") && message.contains("use map"), "{message}");
}

#[cfg(feature = "conformance")]
#[test]
fn a_thread_for_each_job_keeps_all_promises() {
    /// As in the documentation of `Pool`.
    struct ThreadPerJob(usize);

    impl Pool for ThreadPerJob {
        fn n_workers(&self) -> usize {
            self.0
        }

        fn submit(&self, job: Job) -> Result<(), Error> {
            std::thread::spawn(move || job.run());
            Ok(())
        }

        fn look_ahead(&self) -> usize {
            self.0
        }
    }

    conformance::check(|n| Parallel::with_pool(ThreadPerJob(n as usize)));
}

#[cfg(feature = "conformance")]
#[test]
fn the_suite_names_the_promise_that_a_pool_breaks() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let lossy = || {
        let jobs = AtomicUsize::new(0);
        move |job| match jobs.fetch_add(1, Ordering::Relaxed) {
            20 => Ok(()),
            _ => run(job),
        }
    };
    let broken = || conformance::check(|_| Parallel::with_pool(Does(2, lossy())));
    let words = std::panic::catch_unwind(broken).unwrap_err();
    let words = words.downcast_ref::<String>().unwrap();
    assert!(
        words.starts_with("the pool breaks the promise results_equal_a_plain_loop: "),
        "{words}"
    );
}
