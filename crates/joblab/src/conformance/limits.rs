//! Options: how far ahead, how many together, how long, and until when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::suite::{Make, promises, runs_in_caller, sleep, square, works_on};
use crate::call::{CancelToken, Progress};
use crate::error::Error;
use crate::measure::time;
use crate::parallel::Parallel;
use crate::task::delayed;

promises![
    impossible_options_are_errors_that_name_them,
    batch_size_is_how_many_travel_together,
    pre_dispatch_is_how_many_are_pulled_and_not_finished,
    progress_counts_tasks,
    limits_that_are_kept_change_nothing,
    a_task_that_is_late_fails_by_its_own_clock,
    a_call_that_takes_too_long_is_stopped,
    a_call_in_which_nothing_ends_is_stopped,
    a_token_stops_a_call_from_another_thread,
];

fn impossible_options_are_errors_that_name_them(make: Make<'_>) {
    type Option = fn(Parallel) -> Parallel;
    let options: [(&str, Option); 5] = [
        ("batch_size", |parallel| parallel.batch_size(0)),
        ("pre_dispatch", |parallel| parallel.pre_dispatch(0)),
        ("task_timeout", |parallel| parallel.task_timeout(Duration::ZERO)),
        ("call_timeout", |parallel| parallel.call_timeout(Duration::ZERO)),
        ("stall_timeout", |parallel| parallel.stall_timeout(Duration::ZERO)),
    ];
    for (name, set) in options {
        let parallel = set(make(2));
        let untouched = (0..4).inspect(|_| panic!("an input was pulled"));
        let error = parallel.map(square, untouched).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        let message = error.to_string();
        let start = format!("{name} = 0 has no meaning: give ");
        assert!(message.starts_with(&start), "{message}");
    }
}

/// Has progress noted, from call to call.
fn noting(parallel: Parallel) -> (Parallel, Arc<Mutex<Vec<Progress>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&notes);
    let noting = parallel.on_progress(move |progress| ours.lock().unwrap().push(*progress));
    (noting, notes)
}

fn batch_size_is_how_many_travel_together(make: Make<'_>) {
    for n_jobs in [1, 3] {
        let (parallel, notes) = noting(make(n_jobs).batch_size(4));
        drop(parallel.map(square, 0..18).unwrap());
        let mut batches = Vec::new();
        let mut before = 0;
        for progress in notes.lock().unwrap().iter() {
            batches.push(progress.done - before);
            before = progress.done;
        }
        batches.sort_unstable();
        assert_eq!(batches, [2, 4, 4, 4, 4]);
    }
}

fn pre_dispatch_is_how_many_are_pulled_and_not_finished(make: Make<'_>) {
    for (n_jobs, batch_size) in [(1, 1), (2, 1), (2, 2), (2, 50)] {
        let done = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&done);
        let parallel = make(n_jobs)
            .pre_dispatch(3)
            .batch_size(batch_size)
            .on_progress(move |progress| told.store(progress.done, Ordering::Relaxed));
        let mut most = 0;
        let inputs = (0..60).inspect(|&n| {
            most = most.max(n as usize + 1 - done.load(Ordering::Relaxed));
        });
        assert_eq!(parallel.map(square, inputs).unwrap().results.len(), 60);
        assert_eq!(most, 3, "batches of {batch_size}");
    }
}

fn progress_counts_tasks(make: Make<'_>) {
    for n_jobs in [1, 3] {
        let (parallel, notes) = noting(make(n_jobs));
        let n_workers = parallel.effective_n_jobs().unwrap();
        let run = parallel.map(|n: u64| sleep(n % 2), 0..40).unwrap();
        let notes = std::mem::take(&mut *notes.lock().unwrap());
        for pair in notes.windows(2) {
            assert!(pair[0].done < pair[1].done, "{pair:?}");
            assert!(pair[0].elapsed <= pair[1].elapsed, "{pair:?}");
        }
        for progress in &notes {
            assert_eq!(progress.total, Some(40), "{progress:?}");
            assert!(progress.running <= n_workers, "{progress:?}");
            assert!(progress.remaining.is_some(), "{progress:?}");
            assert!(progress.elapsed <= run.timing.wall, "{progress:?}");
        }
        let last = notes.last().unwrap();
        assert_eq!((last.done, last.running), (40, 0), "{last:?}");
        assert_eq!(last.remaining, Some(Duration::ZERO), "{last:?}");
    }
}

const LONG: Duration = Duration::from_secs(60);

fn limits_that_are_kept_change_nothing(make: Make<'_>) {
    let parallel = make(2)
        .task_timeout(LONG)
        .call_timeout(LONG)
        .stall_timeout(LONG)
        .retries(3)
        .cancel_token(&CancelToken::new());
    for _ in 0..2 {
        works_on(&parallel);
        let tasks = (0..40).map(|n| delayed(square, n));
        let squares: Result<Vec<u64>, Error> = parallel.iter(tasks).unwrap().collect();
        assert_eq!(squares.unwrap(), (0..40).map(square).collect::<Vec<_>>());
    }
}

fn a_task_that_is_late_fails_by_its_own_clock(make: Make<'_>) {
    // Together they take longer than one may, and the last one waits for longer than that.
    let parallel = make(1).task_timeout(Duration::from_millis(300)).batch_size(12);
    let run = parallel.map(|_: u64| sleep(40), 0..12).unwrap();
    assert!(run.timing.wall > Duration::from_millis(300));

    let parallel = make(2).task_timeout(Duration::from_millis(100));
    let slow = |n: u64| {
        sleep(if n == 3 { 400 } else { 0 });
        n
    };
    let error = parallel.map(slow, 0..8).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.task_index(), Some(3), "{error}");
    assert!(error.to_string().contains("task_timeout"), "{error}");
    works_on(&parallel);
}

fn a_call_that_takes_too_long_is_stopped(make: Make<'_>) {
    let limit = Duration::from_millis(400);
    // A pool may take longer to start than this call lasts.
    let parallel = make(2);
    works_on(&parallel);
    let parallel = parallel.call_timeout(limit);
    let slow = |n: u64| {
        sleep(10);
        n
    };
    let (error, timing) = time(|| parallel.map(slow, 0..).unwrap_err());
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.task_index(), None, "it is about no task: {error}");
    assert!(timing.wall >= limit && timing.wall < LONG / 4, "{timing}");
    let finished = error.take_finished::<u64>();
    assert!(finished.iter().any(|(_, n)| *n == 0), "{finished:?}");

    // A consumer has what came in time, and then the error.
    let mut results = parallel.iter((0..).map(|n| delayed(slow, n))).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 0);
    let error = results.find_map(Result::err).unwrap();
    assert!(error.is_timeout(), "{error}");
    assert!(results.next().is_none(), "the error is the last");
    drop(results);
    // What is stopped may take its time on a machine that is busy.
    works_on(&parallel.call_timeout(LONG));
}

fn a_call_in_which_nothing_ends_is_stopped(make: Make<'_>) {
    // Longer than a busy machine takes to start a worker, and a task of each to end.
    let parallel = make(2).stall_timeout(Duration::from_millis(800));
    // Together they take longer than nothing may happen.
    drop(parallel.map(|_: u64| sleep(60), 0..30).unwrap());
    if runs_in_caller(&parallel) {
        // Such a call never waits.
        return;
    }
    let stalls = |n: u64| {
        sleep(if n == 5 { 3000 } else { 0 });
        n
    };
    let error = parallel.map(stalls, 0..6).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("stall_timeout"), "{error}");
    let finished: Vec<(usize, u64)> = (0..5).map(|n| (n as usize, n)).collect();
    assert!(error.take_finished::<u64>().starts_with(&finished));
    works_on(&parallel);
}

fn a_token_stops_a_call_from_another_thread(make: Make<'_>) {
    let token = CancelToken::new();
    let parallel = make(2).cancel_token(&token);
    // A pool may take longer to start than this call lasts.
    works_on(&parallel);
    let slow = |n: u64| {
        sleep(5);
        n
    };
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            sleep(100);
            token.cancel();
        });
        parallel.map(slow, 0..).unwrap_err()
    });
    assert!(error.is_cancelled(), "{error}");
    let finished = error.take_finished::<u64>();
    let is_right = |(index, n): &(usize, u64)| *index as u64 == *n;
    assert!(finished.iter().all(is_right), "{finished:?}");
    assert!(!finished.is_empty());

    let untouched = (0..4).inspect(|_| panic!("an input was pulled"));
    let later = parallel.map(square, untouched).unwrap_err();
    assert!(later.is_cancelled(), "{later}");
}
