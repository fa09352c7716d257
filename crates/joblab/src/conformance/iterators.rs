//! Iterators: results as they become ready, and consumers that are slow or go away.

use std::cell::Cell;
use std::path::PathBuf;

use super::suite::{Make, Marks, mark, promises, sleep, square, works_on};
use crate::error::Error;
use crate::task::{Delayed, delayed};

promises![
    an_iterator_keeps_the_order,
    an_unordered_iterator_gives_the_fast_ones_first,
    each_task_has_its_own_outcome,
    collecting_stops_at_the_lowest_index_that_fails,
    an_endless_iterator_can_be_left,
    a_dropped_iterator_starts_nothing_more,
    two_iterators_can_be_read_in_turns,
    a_slow_consumer_holds_the_producers_back,
    a_task_that_is_tried_again_keeps_its_place,
    an_iterator_ends_with_the_panic_of_its_inputs,
    a_wrong_size_hint_changes_nothing,
];

fn slow_at(slow: u64, milliseconds: u64, n: u64) -> Delayed<(u64, u64, u64), u64> {
    fn wait((slow, milliseconds, n): (u64, u64, u64)) -> u64 {
        sleep(if n == slow { milliseconds } else { 0 });
        n
    }
    delayed(wait, (slow, milliseconds, n))
}

fn an_iterator_keeps_the_order(make: Make<'_>) {
    for n_jobs in [1, 2, 4] {
        let parallel = make(n_jobs);
        let tasks = (0..20).map(|n| slow_at(3, 50, n));
        let results: Vec<u64> = parallel.iter(tasks).unwrap().map(Result::unwrap).collect();
        assert_eq!(results, (0..20).collect::<Vec<_>>(), "n_jobs = {n_jobs}");
    }
}

fn an_unordered_iterator_gives_the_fast_ones_first(make: Make<'_>) {
    let parallel = make(2);
    let mut order = Vec::new();
    // However busy the machine is: from some time on the fast ones are faster.
    for milliseconds in [500, 2000, 8000] {
        let tasks = (0..10).map(|n| slow_at(0, milliseconds, n));
        let results = parallel.iter_unordered(tasks).unwrap();
        order = results.map(|result| result.unwrap().0).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        if parallel.effective_n_jobs().unwrap() == 1 || order[9] == 0 {
            return;
        }
    }
    panic!("the slow one comes last: {order:?}");
}

fn each_task_has_its_own_outcome(make: Make<'_>) {
    fn odd_only(n: u64) -> u64 {
        assert_eq!(n % 2, 1, "{n} is even");
        n
    }
    for (n_jobs, batch_size) in [(1, 1), (3, 1), (3, 7)] {
        let parallel = make(n_jobs).batch_size(batch_size);
        let tasks = (0..20).map(|n| delayed(odd_only, n));
        let outcomes: Vec<_> = parallel.iter(tasks).unwrap().collect();
        assert_eq!(outcomes.len(), 20);
        for (n, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(result) => assert_eq!((result, n % 2), (n as u64, 1)),
                Err(error) => {
                    assert_eq!((error.task_index(), n % 2), (Some(n), 0), "{error}");
                    assert!(error.is_panic(), "{error}");
                }
            }
        }
        let tasks = (0..20).map(|n| delayed(odd_only, n));
        let outcomes = parallel.iter_unordered(tasks).unwrap();
        assert_eq!(outcomes.filter(Result::is_ok).count(), 10);
    }
}

fn collecting_stops_at_the_lowest_index_that_fails(make: Make<'_>) {
    fn two_fail(n: u64) -> u64 {
        sleep(if n == 5 { 100 } else { 0 });
        assert!(n != 5 && n != 6);
        n
    }
    let parallel = make(2);
    let tasks = (0..).map(|n| delayed(two_fail, n));
    let all: Result<Vec<u64>, Error> = parallel.iter(tasks).unwrap().collect();
    assert_eq!(all.unwrap_err().task_index(), Some(5));
    works_on(&parallel);
}

fn an_endless_iterator_can_be_left(make: Make<'_>) {
    for n_jobs in [1, 3] {
        let parallel = make(n_jobs);
        let squares = (0..).map(|n| delayed(square, n));
        let mut ordered = parallel.iter(squares.clone()).unwrap();
        let found = ordered.find(|square| square.as_ref().is_ok_and(|square| *square > 900));
        assert_eq!(found.unwrap().unwrap(), 961);
        drop(ordered);
        let unordered = parallel.iter_unordered(squares).unwrap();
        assert_eq!(unordered.take(50).count(), 50);
        works_on(&parallel);
    }
}

fn a_dropped_iterator_starts_nothing_more(make: Make<'_>) {
    fn slow((folder, n): (PathBuf, u64)) -> Vec<u64> {
        mark(&folder, n);
        sleep(20);
        vec![n; 100_000]
    }
    for n_jobs in [1, 3] {
        let marks = Marks::new();
        let parallel = make(n_jobs);
        let tasks = (0..).map(|n| delayed(slow, (marks.folder(), n)));
        let mut results = parallel.iter(tasks).unwrap();
        for n in 0..2 {
            assert_eq!(results.next().unwrap().unwrap(), vec![n; 100_000]);
        }
        drop(results);
        works_on(&parallel);
        // What ran when it was dropped may have run on; now even that has ended.
        sleep(50);
        let started = marks.count();
        assert!(started <= 30, "{started} tasks were started for two results");
        sleep(50);
        assert_eq!(marks.count(), started, "tasks started after the drop");
    }
}

fn two_iterators_can_be_read_in_turns(make: Make<'_>) {
    let (one, other) = (make(2), make(2));
    for second in [&one, &other] {
        let first = one.iter((0..60).map(|n| delayed(square, n))).unwrap();
        let tasks = (0..60).map(|n| delayed(|n: u64| n + 1, n));
        let turns = first.zip(second.iter(tasks).unwrap());
        for (n, (squared, next)) in (0..).zip(turns) {
            assert_eq!((squared.unwrap(), next.unwrap()), (square(n), n + 1));
        }
        // The one that is dropped does the other no harm.
        let mut first = one.iter((0..).map(|n| slow_at(9, 50, n))).unwrap();
        let mut tasks = second.iter((0..60).map(|n| delayed(square, n))).unwrap();
        assert_eq!(first.next().unwrap().unwrap(), 0);
        assert_eq!(tasks.next().unwrap().unwrap(), 0);
        drop(first);
        let rest: Vec<u64> = tasks.map(Result::unwrap).collect();
        assert_eq!(rest, (1..60).map(square).collect::<Vec<_>>());
    }
}

fn a_slow_consumer_holds_the_producers_back(make: Make<'_>) {
    const MOST: usize = 6;
    for n_jobs in [1, 3] {
        let parallel = make(n_jobs).pre_dispatch(MOST);
        let (pulled, most, consumed) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let tasks = || {
            pulled.set(0);
            consumed.set(0);
            (0..40).map(|n| {
                pulled.set(pulled.get() + 1);
                most.set(most.get().max(pulled.get() - consumed.get()));
                // The first is slow, so that results wait behind it.
                slow_at(0, 30, n)
            })
        };
        for result in parallel.iter(tasks()).unwrap() {
            result.unwrap();
            sleep(1);
            consumed.set(consumed.get() + 1);
        }
        assert_eq!(consumed.get(), 40);
        for result in parallel.iter_unordered(tasks()).unwrap() {
            result.unwrap();
            sleep(1);
            consumed.set(consumed.get() + 1);
        }
        assert_eq!(consumed.get(), 40);
        assert!(most.get() <= MOST, "{} tasks ahead", most.get());
    }
}

/// Batches grow, then a slow failure makes them small again, while many results wait behind it.
fn a_task_that_is_tried_again_keeps_its_place(make: Make<'_>) {
    fn fails_once((folder, n): (PathBuf, u64)) -> u64 {
        if n == 500 && mark(&folder, n) == 0 {
            sleep(50);
            panic!("the first attempt");
        }
        n
    }
    let marks = Marks::new();
    let parallel = make(2).retries(1);
    let tasks = (0..1_000).map(|n| delayed(fails_once, (marks.folder(), n)));
    let results = parallel.iter(tasks).unwrap().map(Result::unwrap);
    assert!(results.eq(0..1_000));
}

fn an_iterator_ends_with_the_panic_of_its_inputs(make: Make<'_>) {
    let parallel = make(2);
    for at in [0, 7] {
        let broken = (0..20).map(|n| {
            assert_ne!(n, at, "no more input");
            delayed(square, n)
        });
        let mut results = parallel.iter(broken).unwrap();
        let outcomes: Vec<_> = results.by_ref().take(30).collect();
        let (error, before) = outcomes.split_last().unwrap();
        let error = error.as_ref().unwrap_err();
        assert_eq!(error.task_index(), Some(at as usize), "{error}");
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        assert!(results.next().is_none(), "the error is the last");
        drop(results);
        works_on(&parallel);
    }
}

/// Ten numbers, with a wrong word of how many are left.
#[derive(Clone)]
struct Liar {
    next: u64,
    says: (usize, Option<usize>),
    shrinks: bool,
}

impl Iterator for Liar {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.next += 1;
        if self.shrinks {
            let (least, most) = self.says;
            self.says = (least.saturating_sub(1), most.map(|most| most.saturating_sub(1)));
        }
        (self.next <= 10).then_some(self.next - 1)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.says
    }
}

fn a_wrong_size_hint_changes_nothing(make: Make<'_>) {
    let expected: Vec<u64> = (0..10).map(square).collect();
    let hints = [0, 3, 9, 10, 20, usize::MAX].map(|n| (n, Some(n)));
    for says in hints.into_iter().chain([(5, Some(2)), (20, None), (0, Some(1))]) {
        for (shrinks, n_jobs) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
            let inputs = Liar { next: 0, says, shrinks };
            let case = format!("hint {says:?}, shrinks: {shrinks}, n_jobs = {n_jobs}");
            for parallel in [make(n_jobs), make(n_jobs).batch_size(4)] {
                let run = parallel.map(square, inputs.clone()).unwrap();
                assert_eq!(run.results, expected, "map, {case}");
                let tasks = || inputs.clone().map(|n| delayed(square, n));
                let ordered = parallel.iter(tasks()).unwrap().map(Result::unwrap);
                assert_eq!(ordered.collect::<Vec<_>>(), expected, "iter, {case}");
                let unordered = parallel.iter_unordered(tasks()).unwrap().map(Result::unwrap);
                let mut unordered: Vec<(usize, u64)> = unordered.collect();
                unordered.sort_unstable();
                let unordered = unordered.into_iter().map(|(_, result)| result);
                assert_eq!(unordered.collect::<Vec<_>>(), expected, "iter_unordered, {case}");
            }
        }
    }
}
