//! Tasks that use rayon themselves, in threads that are rayon's.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use joblab::{Parallel, Run, with_gil};
use rayon::prelude::*;

/// Runs a test that would wait for ever if it failed.
fn in_time<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(test()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("it hangs, or has panicked")
}

fn nap(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// Splits off work that other threads can take, and waits for it.
fn split_and_wait() {
    rayon::scope(|scope| (0..4).for_each(|_| scope.spawn(|_| nap(2))));
}

/// Runs `work` in a task, and asserts that no other task is under it on the thread's stack.
fn alone<T>(work: impl FnOnce() -> T) -> T {
    thread_local!(static HAS_TASK: Cell<bool> = const { Cell::new(false) });
    assert!(!HAS_TASK.replace(true), "a task on top of another one");
    let value = work();
    HAS_TASK.set(false);
    value
}

#[test]
fn a_task_that_waits_for_rayon_under_a_lock_is_not_stuck() {
    fn locked(n: u64) -> u64 {
        alone(|| with_gil(split_and_wait));
        n
    }
    let run = in_time(|| {
        let parallel = Parallel::new(2);
        (0..5).map(|_| parallel.map(locked, 0..8).unwrap()).collect::<Vec<Run<u64>>>()
    });
    assert!(run.iter().all(|run| run.results == [0, 1, 2, 3, 4, 5, 6, 7]));
}

#[test]
fn the_same_with_closures_that_borrow() {
    let results = in_time(|| {
        let (lock, parallel) = (Mutex::new(0), Parallel::new(2).sharedmem());
        let add = |n: u64| {
            alone(|| {
                let mut sum = lock.lock().unwrap();
                split_and_wait();
                *sum += n;
            });
            n
        };
        // Two calls at a time share the threads.
        let call = || parallel.map(add, 0..8).unwrap().results;
        let both = thread::scope(|scope| {
            let other = scope.spawn(call);
            [call(), other.join().unwrap()]
        });
        (both, lock.into_inner().unwrap())
    });
    let expected: Vec<u64> = (0..8).collect();
    assert_eq!(results, ([expected.clone(), expected], 56));
}

#[test]
fn each_thread_has_one_state_however_its_tasks_wait() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    fn make(_: &()) -> usize {
        MADE.fetch_add(1, Ordering::SeqCst)
    }
    fn task(_: u64, state: &mut usize) -> usize {
        split_and_wait();
        *state
    }
    let run = in_time(|| Parallel::new(2).with_state(make, ()).map(task, 0..40).unwrap());
    assert!(run.results.iter().all(|state| *state < 2), "{:?}", run.results);
    assert!(MADE.load(Ordering::SeqCst) <= 2);
}

#[test]
fn what_a_task_spawns_is_run_beside_a_long_list() {
    fn task(n: u64) -> u64 {
        if n > 0 {
            nap(1);
            return n;
        }
        // Another thread has to take it, which has tasks enough of its own.
        let (sender, receiver) = mpsc::channel();
        rayon::spawn(move || sender.send(100).unwrap());
        receiver.recv().unwrap()
    }
    let first = in_time(|| {
        let parallel = Parallel::new(2);
        let tasks = (0..).map(|n| joblab::delayed(task, n));
        parallel.iter(tasks).unwrap().next().unwrap().unwrap()
    });
    assert_eq!(first, 100);
}

#[test]
fn what_one_task_splits_off_runs_on_all_threads() {
    fn task(_: u64) -> u64 {
        let all = Barrier::new(3);
        (0..3_usize).into_par_iter().with_max_len(1).map(|n| (all.wait(), n as u64).1).sum()
    }
    assert_eq!(in_time(|| Parallel::new(3).map(task, [0]).unwrap().results), [3]);
    let sharedmem = in_time(|| Parallel::new(3).sharedmem().map(task, [0]).unwrap().results);
    assert_eq!(sharedmem, [3]);
}

#[test]
fn a_free_thread_takes_the_task_that_a_busy_one_was_offered() {
    static HAS_STARTED: AtomicBool = AtomicBool::new(false);
    fn task(n: u64) -> u64 {
        if n == 1 {
            HAS_STARTED.store(true, Ordering::SeqCst);
        }
        // This thread takes all that the pool is given, and is not free.
        while !HAS_STARTED.load(Ordering::SeqCst) {
            rayon::yield_now();
        }
        n
    }
    in_time(|| {
        let (plain, shared) = (Parallel::new(2), Parallel::new(2).sharedmem());
        for round in 0..300_u64 {
            for call in
                [&|| plain.map(task, 0..2), &|| shared.map(task, 0..2)] as [&dyn Fn() -> _; 2]
            {
                HAS_STARTED.store(false, Ordering::SeqCst);
                assert_eq!(call().unwrap().results, [0, 1]);
                // The other thread is asleep in some rounds, and about to fall asleep in others.
                thread::sleep(Duration::from_micros(round % 7 * 20));
            }
        }
    });
}

#[test]
fn a_pool_ends_when_what_tasks_have_spawned_has_run() {
    static RUN: AtomicUsize = AtomicUsize::new(0);
    fn task(_: u64) {
        rayon::spawn(|| {
            nap(5);
            RUN.fetch_add(1, Ordering::SeqCst);
        });
    }
    in_time(|| {
        drop(Parallel::new(2).map(task, 0..10).unwrap());
        while RUN.load(Ordering::SeqCst) < 10 {
            nap(1);
        }
    });
}
