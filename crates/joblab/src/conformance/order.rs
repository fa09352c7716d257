//! The dearest first: who starts when, and that nobody notices it but by the time.

use super::suite::{Make, promises, sleep, square, works_on};
use crate::error::Error;

promises![
    the_dearest_starts_first_and_results_keep_their_places,
    failures_have_the_lists_index,
    what_has_finished_has_the_lists_index,
    a_cost_that_is_none_is_an_error_at_the_call,
    retries_and_files_of_results_go_with_it,
];

const INPUTS: [u64; 9] = [3, 9, 1, 7, 5, 2, 8, 4, 6];

fn cost(n: &u64) -> f64 {
    *n as f64
}

fn the_dearest_starts_first_and_results_keep_their_places(make: Make<'_>) {
    for batch_size in [None, Some(1), Some(4), Some(100)] {
        for n_jobs in [1, 3] {
            let parallel = make(n_jobs);
            let parallel = match batch_size {
                Some(size) => parallel.batch_size(size),
                None => parallel,
            };
            let run = parallel.map_longest_first(square, INPUTS, cost).unwrap();
            assert_eq!(run.results, INPUTS.map(square));
            let indices: Vec<usize> = run.tasks.iter().map(|task| task.index).collect();
            assert_eq!(indices, Vec::from_iter(0..INPUTS.len()));
            if n_jobs == 1 {
                let mut started: Vec<_> = run.tasks.iter().collect();
                started.sort_by_key(|task| task.start);
                let started = started.iter().map(|task| INPUTS[task.index]);
                assert!(started.eq((1..10).rev()), "{:?}", run.tasks);
            }
        }
    }
    let none = make(2).map_longest_first(square, [], cost).unwrap();
    assert!(none.results.is_empty() && none.tasks.is_empty());
}

/// The sixth of the list, and the third to start.
const BAD: u64 = 7;

fn failures_have_the_lists_index(make: Make<'_>) {
    for batch_size in [1, 5] {
        let parallel = make(2).batch_size(batch_size);
        let bad = |n: u64| {
            assert!(n != BAD, "this one");
            square(n)
        };
        let error = parallel.map_longest_first(bad, INPUTS, cost).unwrap_err();
        assert_eq!((error.is_panic(), error.task_index()), (true, Some(3)), "{error}");
        assert!(error.to_string().starts_with("task 3 panicked"), "{error}");
        works_on(&parallel);
    }
}

fn what_has_finished_has_the_lists_index(make: Make<'_>) {
    let parallel = make(1).batch_size(1);
    let bad = |n: u64| {
        assert!(n != BAD, "this one");
        square(n)
    };
    let error = parallel.map_longest_first(bad, INPUTS, cost).unwrap_err();
    let finished = error.take_finished::<u64>();
    // Others may have been on their way.
    let dearer = [(1, 81), (6, 64)];
    assert!(dearer.iter().all(|one| finished.contains(one)), "9 and 8 are dearer: {finished:?}");
    assert!(finished.iter().all(|&(index, result)| result == square(INPUTS[index])));
}

fn a_cost_that_is_none_is_an_error_at_the_call(make: Make<'_>) {
    let parallel = make(2);
    let runs = |_: u64| sleep(1);
    let nan = |n: &u64| if *n == BAD { f64::NAN } else { cost(n) };
    let error = parallel.map_longest_first(runs, INPUTS, nan).unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("task 3 is NaN"), "{error}");
    let panics = |n: &u64| if *n == BAD { panic!("no idea") } else { cost(n) };
    let error: Error = parallel.map_longest_first(runs, INPUTS, panics).unwrap_err();
    assert!(error.to_string().contains("no idea"), "{error}");
    assert_eq!(error.task_index(), Some(3), "{error}");
    let infinite = |n: &u64| if *n == 1 { f64::INFINITY } else { -cost(n) };
    assert_eq!(parallel.map_longest_first(square, INPUTS, infinite).unwrap().results[2], 1);
}

fn retries_and_files_of_results_go_with_it(make: Make<'_>) {
    let folder = super::suite::Marks::new();
    let path = folder.folder().join("results");
    let first = make(2).batch_size(2).resume(&path).map(square, INPUTS[..5].iter().copied());
    assert_eq!(first.unwrap().resumed(), 0);
    let parallel = make(2).batch_size(2).retries(2).resume(&path);
    let run = parallel.map_longest_first(square, INPUTS, cost).unwrap();
    assert_eq!((run.resumed(), &run.results[..]), (5, &INPUTS.map(square)[..]));
    let resumed = run.tasks.iter().filter(|task| task.resumed).map(|task| task.index);
    assert!(resumed.eq(0..5));
}
