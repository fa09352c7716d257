//! Closures that capture and borrow, on workers that share the caller's memory.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::BACKENDS;

fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn all_workers_read_the_callers_data_where_it_is() {
    let data: Vec<f64> = (0..100_000).map(f64::from).collect();
    for &backend in BACKENDS {
        let parallel = Parallel::new(3).backend(backend).sharedmem();
        let whole = parallel.map(|_| data.as_ptr() as usize, 0..20).unwrap();
        let here = data.as_ptr() as usize;
        assert!(whole.results.iter().all(|there| *there == here), "copied");
        // Inputs may borrow too.
        let part = |part: &[f64]| (part.as_ptr() as usize, part.iter().sum::<f64>());
        let run = parallel.map(part, data.chunks(1_000)).unwrap();
        for (number, (there, sum)) in run.results.into_iter().enumerate() {
            let part = &data[1_000 * number..1_000 * (number + 1)];
            assert_eq!(there, part.as_ptr() as usize, "copied");
            assert_eq!(sum, part.iter().sum::<f64>());
        }
    }
}

#[test]
fn tasks_may_write_what_they_borrow_mutably() {
    let mut table = vec![0_u64; 1_000];
    let parallel = Parallel::new(2).sharedmem();
    let fill = |(number, part): (usize, &mut [u64])| part.fill(number as u64);
    let run = parallel.map(fill, table.chunks_mut(100).enumerate());
    assert_eq!(run.unwrap().results.len(), 10);
    assert!((0..1_000).all(|n| table[n] == n as u64 / 100));
}

#[test]
fn workers_are_threads_of_this_process_on_every_backend() {
    let caller = std::thread::current().id();
    for &backend in BACKENDS {
        let seen = Mutex::new(BTreeSet::new());
        let parallel = Parallel::new(2).backend(backend).sharedmem();
        let meet = |_| {
            sleep(10);
            let thread = std::thread::current();
            seen.lock().unwrap().insert(thread.name().unwrap().to_owned());
            thread.id()
        };
        let run = parallel.map(meet, 0..8).unwrap();
        assert!(run.tasks.iter().all(|task| task.pid == std::process::id()));
        if backend == Backend::Sequential {
            assert!(run.results.iter().all(|thread| *thread == caller));
            assert_eq!(run.n_workers, 1);
        } else {
            let expected = ["worker-0", "worker-1"].map(str::to_owned);
            assert_eq!(*seen.lock().unwrap(), expected.into(), "{backend}");
            assert_eq!(run.n_workers, 2);
        }
    }
}

#[test]
fn results_may_be_of_types_that_serde_does_not_know() {
    struct Opaque(std::thread::ThreadId);
    let parallel = Parallel::new(2).sharedmem();
    let run = parallel.map(|_| Opaque(std::thread::current().id()), 0..3);
    let caller = std::thread::current().id();
    assert!(run.unwrap().results.iter().all(|made| made.0 != caller));
}

#[test]
fn a_call_returns_when_no_task_borrows_any_more() {
    // The first task panics; those that run on are waited for, and what they borrow lives so long.
    let (started, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let parallel = Parallel::new(2).sharedmem();
    let error = parallel
        .map(
            |n| {
                started.fetch_add(1, Ordering::SeqCst);
                sleep(if n == 0 { 20 } else { 200 });
                assert_ne!(n, 0, "the first one");
                ended.fetch_add(1, Ordering::SeqCst);
            },
            0..,
        )
        .unwrap_err();
    assert!(error.is_panic() && error.task_index() == Some(0), "{error}");
    let started = started.into_inner();
    assert!(started < 10, "{started} tasks of an endless list");
    assert_eq!(ended.into_inner(), started - 1);
}

#[test]
fn inputs_that_panic_are_an_error_and_the_pool_works_on() {
    let parallel = Parallel::new(2).sharedmem();
    for at in [0, 5] {
        let broken = (0..10).inspect(|&n| assert_ne!(n, at, "no more input"));
        let error = parallel.map(|n| n, broken).unwrap_err();
        assert_eq!(error.task_index(), Some(at), "{error}");
        assert_eq!(parallel.map(|n| n + 1, 0..3).unwrap().results, [1, 2, 3]);
    }
}

#[test]
fn a_wrong_size_hint_changes_nothing() {
    struct Liar(std::ops::Range<u64>, usize, bool);
    impl Iterator for Liar {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.1 = self.1.saturating_sub(usize::from(self.2));
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.1, Some(self.1))
        }
    }
    for &backend in BACKENDS {
        let parallel = Parallel::new(2).backend(backend).sharedmem();
        for says in [0, 3, 10, 20, usize::MAX] {
            for shrinks in [false, true] {
                let run = parallel.map(|n| n + 1, Liar(0..10, says, shrinks)).unwrap();
                let expected: Vec<u64> = (1..11).collect();
                assert_eq!(run.results, expected, "{backend}: {says}, shrinks: {shrinks}");
            }
        }
    }
}

#[test]
fn options_hold_but_for_retries() {
    let limit = Duration::from_millis(50);
    let late = Parallel::new(2).task_timeout(limit).sharedmem();
    let error = late.map(|n| sleep(150 * n), 0..2).unwrap_err();
    assert!(error.is_timeout() && error.task_index() == Some(1), "{error}");
    let retried = Parallel::new(2).retries(1).sharedmem();
    let error = retried.map(|n: u64| n, 0..2).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert!(error.to_string().starts_with("retries "), "{error}");
    let error = Parallel::new(0).sharedmem().map(|n: u64| n, 0..2);
    assert!(error.unwrap_err().is_invalid());
}

#[test]
fn a_pool_that_is_called_by_its_own_tasks_is_not_stuck() {
    let parallel = Parallel::new(2).sharedmem();
    let base = vec![1, 2, 3];
    let inner = |n: u64| {
        sleep(20);
        let run = parallel.map(|m: &u64| m * n, &base);
        run.unwrap().results.into_iter().sum::<u64>()
    };
    assert_eq!(parallel.map(inner, 0..4).unwrap().results, [0, 6, 12, 18]);
}
