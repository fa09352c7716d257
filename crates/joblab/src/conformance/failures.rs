//! Failures: which task it was, what is kept, and that the pool works on.

use std::panic::panic_any;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::suite::{Make, Marks, mark, promises, sleep, square, works_on};

promises![
    a_panic_names_its_task_and_the_pool_works_on,
    queued_tasks_do_not_start_after_a_failure,
    results_that_were_finished_are_kept,
    a_failure_while_tasks_are_still_pulled_is_told,
    inputs_that_panic_are_an_error_and_the_pool_works_on,
    the_first_error_that_a_task_returns_ends_the_call,
    retries_run_a_failed_task_again,
    retries_come_to_an_end,
    a_payload_that_panics_when_it_is_dropped_is_an_error,
    values_that_panic_when_they_are_dropped_end_no_program,
];

fn a_panic_names_its_task_and_the_pool_works_on(make: Make<'_>) {
    fn panics_at_five(n: u64) -> u64 {
        assert_ne!(n, 5, "five is right out");
        n
    }
    for n_jobs in [1, 2, 5] {
        let parallel = make(n_jobs);
        let error = parallel.map(panics_at_five, 0..20).unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert_eq!(error.task_index(), Some(5), "{error}");
        let message = error.to_string();
        assert!(message.contains("task 5"), "{message}");
        assert!(message.contains("five is right out"), "{message}");
        works_on(&parallel);
    }
}

fn queued_tasks_do_not_start_after_a_failure(make: Make<'_>) {
    fn first_fails((folder, n): (PathBuf, u64)) {
        mark(&folder, n);
        assert_ne!(n, 0, "the first one");
        // Longer than it takes to print a backtrace on a busy machine.
        sleep(300);
    }
    for n_jobs in [1, 3] {
        let marks = Marks::new();
        // An endless list ends all the same.
        let inputs = (0..).map(|n| (marks.folder(), n));
        let parallel = make(n_jobs);
        let error = parallel.map(first_fails, inputs).unwrap_err();
        assert_eq!(error.task_index(), Some(0), "{error}");
        works_on(&parallel);
        // What was on its way to a worker may have begun; now even that has ended.
        sleep(100);
        let started = marks.count();
        assert!(started <= 20, "{started} tasks were started");
        sleep(50);
        assert_eq!(marks.count(), started, "tasks started after the call");
    }
}

fn results_that_were_finished_are_kept(make: Make<'_>) {
    fn last_fails(n: u64) -> u64 {
        // The others have long ended then.
        sleep(if n == 9 { 150 } else { 0 });
        assert_ne!(n, 9, "the last one");
        n * 10
    }
    for n_jobs in [1, 3] {
        let error = make(n_jobs).map(last_fails, 0..10).unwrap_err();
        assert_eq!(error.task_index(), Some(9), "{error}");
        let finished: Vec<(usize, u64)> = (0..9).map(|n| (n as usize, n * 10)).collect();
        assert!(error.take_finished::<String>().is_empty(), "another type");
        assert_eq!(error.take_finished::<u64>(), finished);
        assert!(error.take_finished::<u64>().is_empty(), "taken once");
    }
}

fn a_failure_while_tasks_are_still_pulled_is_told(make: Make<'_>) {
    fn panics_at_fifteen(n: u64) -> u64 {
        assert_ne!(n, 15);
        n
    }
    let parallel = make(2).pre_dispatch(16);
    let error = parallel.map(panics_at_fifteen, 0..30).unwrap_err();
    assert_eq!(error.task_index(), Some(15), "{error}");
}

fn inputs_that_panic_are_an_error_and_the_pool_works_on(make: Make<'_>) {
    const END: u64 = 20;
    let parallel = make(2);
    for at in [0, 7, END] {
        let broken = (0..=END).inspect(|&n| assert_ne!(n, at, "no more input"));
        let error = parallel.map(square, broken).unwrap_err();
        assert_eq!(error.task_index(), Some(at as usize), "{error}");
        let message = error.to_string();
        assert!(message.contains("no more input"), "{message}");
        let finished = error.take_finished::<u64>();
        let is_right = |(index, result): &(usize, u64)| *result == square(*index as u64);
        assert!(finished.iter().all(is_right), "{finished:?}");
        works_on(&parallel);
    }
}

fn the_first_error_that_a_task_returns_ends_the_call(make: Make<'_>) {
    fn inverse(n: i64) -> Result<i64, Vec<i64>> {
        100_i64.checked_div(n).ok_or(vec![n, 100])
    }
    for n_jobs in [1, 3] {
        let parallel = make(n_jobs);
        let run = parallel.try_map(inverse, [1, 5, 20]).unwrap();
        assert_eq!(run.results, [100, 20, 5]);
        let endless = (0..).map(|n| 3 - n);
        let error = parallel.try_map(inverse, endless).unwrap_err();
        assert!(error.is_failure() && !error.is_panic(), "{error}");
        assert_eq!(error.task_index(), Some(3), "{error}");
        assert_eq!(error.take_cause::<String>(), None, "another type");
        assert_eq!(error.take_cause(), Some(vec![0_i64, 100]));
        assert_eq!(error.take_cause::<Vec<i64>>(), None, "taken once");
        works_on(&parallel);
    }
}

/// Fails as often as it is told to, and leaves a mark each time.
fn fails_at_first((folder, task, failures): (PathBuf, u64, u64)) -> u64 {
    let before = mark(&folder, task);
    assert!(before >= failures, "attempt {before}");
    task
}

fn retries_run_a_failed_task_again(make: Make<'_>) {
    for batch_size in [1, 4] {
        let marks = Marks::new();
        let parallel = make(2).retries(2).batch_size(batch_size);
        let failures = |task| if task % 5 == 1 { task % 3 } else { 0 };
        let inputs = (0..20).map(|task| (marks.folder(), task, failures(task)));
        let run = parallel.map(fails_at_first, inputs).unwrap();
        assert_eq!(run.results, (0..20).collect::<Vec<_>>());
        for task in 0..20 {
            let attempts = marks.count_of(task);
            assert_eq!(attempts, failures(task) + 1, "attempts at task {task}");
        }
    }
}

fn retries_come_to_an_end(make: Make<'_>) {
    let marks = Marks::new();
    let parallel = make(2).retries(2);
    let error = parallel.map(fails_at_first, [(marks.folder(), 0, 99)]);
    let error = error.unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(error.task_index(), Some(0), "{error}");
    assert_eq!(marks.count_of(0), 3, "one attempt and two retries");
    assert!(error.to_string().ends_with("; it was attempt 3 of 3"), "{error}");
    // Without the option there is one, of which nothing is said.
    let error = make(2).map(fails_at_first, [(marks.folder(), 1, 99)]).unwrap_err();
    assert!(!error.to_string().contains("it was attempt"), "{error}");
    works_on(&parallel);
}

fn a_payload_that_panics_when_it_is_dropped_is_an_error(make: Make<'_>) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload's drop");
        }
    }
    fn throws_at_five(n: u64) -> u64 {
        if n == 5 {
            panic_any(Bomb);
        }
        n
    }
    for n_jobs in [1, 3] {
        let parallel = make(n_jobs);
        let error = parallel.map(throws_at_five, 0..10).unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert_eq!(error.task_index(), Some(5), "{error}");
        works_on(&parallel);
    }
}

/// A number that panics when it is dropped, if it is five.
struct Fragile(u64);

impl Fragile {
    fn take(self) -> u64 {
        let number = self.0;
        std::mem::forget(self);
        number
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert_ne!(self.0, 5, "the value's drop");
    }
}

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Fragile)
    }
}

fn values_that_panic_when_they_are_dropped_end_no_program(make: Make<'_>) {
    fn drops(argument: Fragile) -> u64 {
        argument.0
    }
    fn first_fails(argument: Fragile) -> u64 {
        let number = argument.take();
        assert_ne!(number, 0, "the first one");
        number
    }
    let inputs = || (0..10).map(Fragile);
    for (n_jobs, batch_size) in [(1, 1), (2, 1), (2, 10)] {
        let parallel = make(n_jobs).batch_size(batch_size);
        let error = parallel.map(drops, inputs()).unwrap_err();
        assert!(error.is_panic(), "an argument in its task: {error}");
        assert_eq!(error.task_index(), Some(5), "{error}");
        let error = parallel.map(first_fails, inputs()).unwrap_err();
        assert_eq!(error.task_index(), Some(0), "an argument that no task takes: {error}");
        // A result is moved home, or dropped where a copy of it has been sent.
        match parallel.map(Fragile, 0..10) {
            Ok(run) => assert!(run.results.into_iter().map(Fragile::take).eq(0..10)),
            Err(error) => {
                assert!(error.is_panic() && error.task_index() == Some(5), "a result: {error}");
            }
        }
        works_on(&parallel);
    }
}
