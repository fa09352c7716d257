//! Results: the right ones, in the right order, whatever the load.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::suite::{Make, Marks, mark, promises, sleep, square};
use crate::backend::Backend;
use crate::parallel::Parallel;
use crate::seeds::seeds;
use crate::task::{Delayed, delayed};

promises![
    results_equal_a_plain_loop,
    order_holds_under_any_load,
    an_empty_list_is_an_empty_run,
    functions_can_be_mixed_and_a_list_run_again,
    arguments_and_results_of_any_type_travel,
    equal_tasks_are_all_run,
    many_calls_use_one_pool,
    two_threads_may_call_at_once,
    seeds_do_not_depend_on_the_workers,
    calls_inside_of_tasks_finish,
];

fn results_equal_a_plain_loop(make: Make<'_>) {
    let expected: Vec<u64> = (0..200).map(square).collect();
    for n_jobs in [1, 2, 5] {
        let results = make(n_jobs).map(square, 0..200).unwrap().results;
        assert_eq!(results, expected, "n_jobs = {n_jobs}");
    }
}

/// Calls of random shape, and tasks of random length.
fn order_holds_under_any_load(make: Make<'_>) {
    fn echo((n, microseconds): (usize, u64)) -> usize {
        if microseconds > 0 {
            std::thread::sleep(Duration::from_micros(microseconds));
        }
        n
    }

    let seed = RandomState::new().hash_one(0);
    let mut random = seeds(seed);
    let begun = Instant::now();
    for case in 0..24 {
        // Pools that take seconds to start have had enough then.
        if case >= 6 && begun.elapsed() > Duration::from_secs(10) {
            break;
        }
        let mut below = |limit: u64| random.next().unwrap() % limit;
        let n_jobs = below(4) as i32 + 1;
        let batch_size = Some(below(20) as usize + 1).filter(|_| below(2) == 0);
        let pre_dispatch = match below(3) {
            0 => None,
            1 => Some(usize::MAX),
            _ => Some(below(40) as usize + 1),
        };
        let slowest = [0, 50, 500][below(3) as usize];
        let tasks: Vec<Delayed<(usize, u64), usize>> = (0..below(250) as usize)
            .map(|n| delayed(echo, (n, below(8).saturating_sub(6) * slowest)))
            .collect();
        let case = format!(
            "n_jobs = {n_jobs}, batch_size = {batch_size:?}, pre_dispatch = {pre_dispatch:?}, \
             {} tasks of up to {slowest} µs (seed {seed})",
            tasks.len()
        );

        let mut parallel = make(n_jobs);
        if let Some(batch_size) = batch_size {
            parallel = parallel.batch_size(batch_size);
        }
        if let Some(pre_dispatch) = pre_dispatch {
            parallel = parallel.pre_dispatch(pre_dispatch);
        }
        let expected: Vec<usize> = (0..tasks.len()).collect();
        let run = parallel.run(&tasks).unwrap();
        assert_eq!(run.results, expected, "run, {case}");
        assert!(run.tasks.iter().map(|task| task.index).eq(0..tasks.len()), "records, {case}");
        // One length is known beforehand, the other is not.
        let ordered: Vec<usize> = parallel.iter(&tasks).unwrap().map(Result::unwrap).collect();
        assert_eq!(ordered, expected, "iter, {case}");
        let unknown = tasks.iter().filter(|_| true);
        let mut unordered: Vec<(usize, usize)> =
            parallel.iter_unordered(unknown).unwrap().map(Result::unwrap).collect();
        unordered.sort_unstable();
        let pairs: Vec<(usize, usize)> = expected.iter().map(|&n| (n, n)).collect();
        assert_eq!(unordered, pairs, "iter_unordered, {case}");
    }
}

fn an_empty_list_is_an_empty_run(make: Make<'_>) {
    let parallel = make(2);
    for _ in 0..2 {
        let run = parallel.map(square, []).unwrap();
        assert!(run.results.is_empty() && run.tasks.is_empty());
        let none: [Delayed<u64, u64>; 0] = [];
        assert!(parallel.run(none).unwrap().results.is_empty());
        assert!(parallel.iter(none).unwrap().next().is_none());
        assert!(parallel.iter_unordered(none).unwrap().next().is_none());
    }
}

fn functions_can_be_mixed_and_a_list_run_again(make: Make<'_>) {
    fn half(n: u64) -> u64 {
        n / 2
    }
    for batch_size in 1..5 {
        let parallel = make(2).batch_size(batch_size);
        let tasks = [
            delayed(square, 4),
            delayed(square, 5),
            delayed(half, 4),
            delayed(|n| n + 1, 4),
            delayed(square, 6),
            delayed(half, 6),
        ];
        for _ in 0..2 {
            let run = parallel.run(&tasks).unwrap();
            assert_eq!(run.results, [16, 25, 2, 5, 36, 3], "batches of {batch_size}");
        }
        let run = parallel.run(tasks).unwrap();
        assert_eq!(run.results, [16, 25, 2, 5, 36, 3], "batches of {batch_size}");
    }
}

fn arguments_and_results_of_any_type_travel(make: Make<'_>) {
    type Argument = (String, Option<Vec<f64>>, char);
    fn describe((name, numbers, mark): Argument) -> Result<(String, f64), String> {
        let numbers = numbers.ok_or(format!("{name} has no numbers{mark}"))?;
        Ok((name, numbers.iter().sum()))
    }
    let inputs: [Argument; 3] = [
        ("one".to_owned(), Some(vec![0.5; 3]), '.'),
        (String::new(), Some(Vec::new()), 'µ'),
        ("three".to_owned(), None, '!'),
    ];
    let expected = inputs.clone().map(describe);
    assert_eq!(make(2).map(describe, inputs).unwrap().results, expected);
    assert_eq!(make(2).map(|()| (), [(); 3]).unwrap().results, [(); 3]);
}

fn equal_tasks_are_all_run(make: Make<'_>) {
    let marks = Marks::new();
    let parallel = make(2);
    for calls in 1..3 {
        let inputs = vec![marks.folder(); 10];
        drop(parallel.map(|folder| mark(&folder, 0), inputs).unwrap());
        assert_eq!(marks.count_of(0), 10 * calls, "after {calls} calls");
    }
}

fn many_calls_use_one_pool(make: Make<'_>) {
    let parallel = make(3);
    for call in 0..200 {
        let run = parallel.map(square, call..call + 3).unwrap();
        assert_eq!(run.results, [call, call + 1, call + 2].map(square));
    }
}

fn two_threads_may_call_at_once(make: Make<'_>) {
    for n_jobs in [1, 3] {
        let parallel = make(n_jobs);
        let call = |from: u64| {
            let results = parallel.map(square, from..from + 300).unwrap().results;
            assert_eq!(results, (from..from + 300).map(square).collect::<Vec<_>>());
        };
        std::thread::scope(|scope| {
            let others = [300, 600].map(|from| scope.spawn(move || call(from)));
            call(0);
            for other in others {
                other.join().expect("the other thread's call");
            }
        });
    }
}

fn seeds_do_not_depend_on_the_workers(make: Make<'_>) {
    fn throw_dice((seed, throws): (u64, usize)) -> u64 {
        seeds(seed).take(throws).map(|random| random % 6 + 1).sum()
    }
    let inputs = || seeds(7).zip([100; 30]);
    let expected: Vec<u64> = inputs().map(throw_dice).collect();
    for n_jobs in [1, 2, 3] {
        let run = make(n_jobs).map(throw_dice, inputs()).unwrap();
        assert_eq!(run.results, expected, "n_jobs = {n_jobs}");
    }
}

fn calls_inside_of_tasks_finish(make: Make<'_>) {
    fn outer(n: u64) -> Vec<u64> {
        let inner = Parallel::new(2).backend(Backend::Threading);
        let slow_square = |n| {
            sleep(1);
            square(n)
        };
        inner.map(slow_square, n..n + 4).unwrap().results
    }
    let run = make(2).map(outer, 0..8).unwrap();
    let expected = (0..8).map(|n| (n..n + 4).map(square).collect::<Vec<_>>());
    assert!(run.results.into_iter().eq(expected));
}
