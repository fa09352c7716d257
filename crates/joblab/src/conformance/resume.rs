//! A file of results: what is in it is not run again, and comes back as it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::suite::{Make, Marks, mark, promises, square, works_on};
use crate::error::Error;
use crate::task::delayed;

promises![
    a_list_goes_on_where_a_failure_has_ended_it,
    a_changed_list_runs_what_is_new_in_it,
    equal_tasks_take_one_result_each,
    other_functions_types_and_names_have_results_of_their_own,
    an_edited_function_takes_what_it_gave_before,
    iterators_take_and_keep_results_too,
    errors_of_tasks_are_run_again,
    kept_results_come_back_as_they_were,
    tasks_that_cannot_be_written_leave_the_others_in_their_places,
];

type Input = (PathBuf, u64);

/// Leaves a mark, and squares; `BAD` panics the first time.
fn marked((folder, n): Input) -> u64 {
    let nth = mark(&folder, n);
    assert!(n != BAD || nth > 0, "the first attempt");
    square(n)
}

const BAD: u64 = 13;

/// A file of results beside a folder of marks.
struct Kept {
    marks: Marks,
    file: Marks,
}

impl Kept {
    fn new() -> Self {
        Kept { marks: Marks::new(), file: Marks::new() }
    }

    fn path(&self) -> PathBuf {
        self.file.folder().join("results")
    }

    fn inputs(&self, of: impl IntoIterator<Item = u64>) -> Vec<Input> {
        of.into_iter().map(|n| (self.marks.folder(), n)).collect()
    }
}

fn squares(of: impl IntoIterator<Item = u64>) -> Vec<u64> {
    of.into_iter().map(square).collect()
}

fn a_list_goes_on_where_a_failure_has_ended_it(make: Make<'_>) {
    for batch_size in [1, 4] {
        let kept = Kept::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let ours = Arc::clone(&told);
        let parallel = make(2)
            .batch_size(batch_size)
            .resume(kept.path())
            .on_progress(move |progress| ours.lock().unwrap().push(*progress));
        let error = parallel.map(marked, kept.inputs(0..30)).unwrap_err();
        assert_eq!((error.is_panic(), error.task_index()), (true, Some(BAD as usize)), "{error}");
        let finished: Vec<(usize, u64)> = error.take_finished();
        assert!(finished.iter().all(|&(index, result)| result == square(index as u64)));

        let run = parallel.map(marked, kept.inputs(0..30)).unwrap();
        assert_eq!(run.results, squares(0..30));
        assert_eq!(run.resumed(), finished.len(), "those that had finished");
        for record in &run.tasks {
            let is_finished = finished.iter().any(|(index, _)| *index == record.index);
            assert_eq!(record.resumed, is_finished, "{record:?}");
            // Without the one that failed: others may have run when it did.
            let most = if is_finished { 1 } else { 2 };
            assert!(kept.marks.count_of(record.index as u64) <= most, "{record:?}");
            assert!(!record.resumed || record.wall.is_zero() && record.cpu.is_zero(), "{record:?}");
        }
        assert!(run.to_string().contains(&format!("{} of 30", finished.len())), "{run}");
        let last = *told.lock().unwrap().last().unwrap();
        assert_eq!((last.done, last.resumed), (30, finished.len()), "{last:?}");

        let again = parallel.map(marked, kept.inputs(0..30)).unwrap();
        assert_eq!((again.resumed(), again.results), (30, squares(0..30)));
    }
}

fn a_changed_list_runs_what_is_new_in_it(make: Make<'_>) {
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    assert_eq!(parallel.map(marked, kept.inputs(0..8)).unwrap().resumed(), 0);
    let changed = [9, 3, 2, 100, 7, 8, 0, 101, 1];
    let run = parallel.map(marked, kept.inputs(changed)).unwrap();
    assert_eq!(run.results, squares(changed));
    let resumed: Vec<u64> =
        run.tasks.iter().filter(|task| task.resumed).map(|task| changed[task.index]).collect();
    assert_eq!(resumed, [3, 2, 7, 0, 1]);
    assert!((0..10).all(|n| kept.marks.count_of(n) <= 1), "none has run twice");
    works_on(&make(2));
}

fn equal_tasks_take_one_result_each(make: Make<'_>) {
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    assert_eq!(parallel.map(marked, kept.inputs([5; 3])).unwrap().resumed(), 0);
    assert_eq!(kept.marks.count_of(5), 3);
    let run = parallel.map(marked, kept.inputs([5; 7])).unwrap();
    assert_eq!((run.resumed(), kept.marks.count_of(5)), (3, 7));
}

fn other_functions_types_and_names_have_results_of_their_own(make: Make<'_>) {
    let kept = Kept::new();
    let path = kept.path();
    let half = |n: u64| n as f64 / 2.0;
    let negative = |n: u64| -(n as i64);
    let wide = |n: u32| u64::from(n) + 1;
    for resumed in [0, 4] {
        let (plain, named) = (make(2).resume(&path), make(2).resume_as(&path, "cube"));
        let run = plain.map(square, 0..4).unwrap();
        assert_eq!((run.resumed(), run.results), (resumed, squares(0..4)));
        let run = named.map(|n: u64| n * n * n, 0..4).unwrap();
        assert_eq!((run.resumed(), run.results), (resumed, vec![0, 1, 8, 27]));
        let run = plain.map(half, 0..4).unwrap();
        assert_eq!((run.resumed(), run.results), (resumed, vec![0.0, 0.5, 1.0, 1.5]));
        let run = plain.map(negative, 0..4).unwrap();
        assert_eq!((run.resumed(), run.results), (resumed, vec![0, -1, -2, -3]));
        let run = plain.map(wide, 0..4).unwrap();
        assert_eq!((run.resumed(), run.results), (resumed, vec![1, 2, 3, 4]));
        // Several in one list.
        let add: fn(u64) -> u64 = |n| n + 100;
        let tasks = (0..4).flat_map(|n| [delayed(square as fn(u64) -> u64, n), delayed(add, n)]);
        let run = make(2).resume_as(&path, "both").run(tasks).unwrap();
        assert_eq!(
            (run.resumed(), run.results),
            (2 * resumed, vec![0, 100, 1, 101, 4, 102, 9, 103])
        );
    }
}

/// A file knows arguments, types and names. What a function's code does it does not know: a build at
/// another time has other code for the same function, and all results would be lost where nothing has
/// changed. So who edits a function says so, with another name or another file.
fn an_edited_function_takes_what_it_gave_before(make: Make<'_>) {
    type Function = fn(u64) -> u64;
    let first: Function = {
        fn edited(n: u64) -> u64 {
            n * n
        }
        edited
    };
    let second: Function = {
        fn edited(n: u64) -> u64 {
            n * n * n
        }
        edited
    };
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    assert_eq!(parallel.map(first, 0..4).unwrap().results, squares(0..4));
    let run = parallel.map(second, 0..5).unwrap();
    assert_eq!((run.resumed(), run.results), (4, vec![0, 1, 4, 9, 64]));
    let run = make(2).resume_as(kept.path(), "second").map(second, 0..5).unwrap();
    assert_eq!((run.resumed(), run.results), (0, vec![0, 1, 8, 27, 64]));
}

fn iterators_take_and_keep_results_too(make: Make<'_>) {
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    let tasks = |of: &[u64]| {
        kept.inputs(of.iter().copied())
            .into_iter()
            .map(|input| delayed(marked, input))
            .collect::<Vec<_>>()
    };
    let some: Vec<u64> = (0..20).step_by(3).collect();
    let results: Result<Vec<u64>, Error> = parallel.iter(tasks(&some)).unwrap().collect();
    assert_eq!(results.unwrap(), squares(some));
    // What was reported is there, although the list was left.
    let first = parallel.iter_unordered(tasks(&[30, 31])).unwrap().next().unwrap().unwrap();
    let all: Vec<u64> = (0..12).chain(14..20).collect();
    let results: BTreeMap<usize, u64> =
        parallel.iter_unordered(tasks(&all)).unwrap().map(Result::unwrap).collect();
    assert_eq!(results.into_values().collect::<Vec<_>>(), squares(all.clone()));
    let results: Result<Vec<u64>, Error> = parallel.iter(tasks(&all)).unwrap().collect();
    assert_eq!(results.unwrap(), squares(all.clone()));
    assert!(all.iter().all(|&n| kept.marks.count_of(n) == 1), "none has run twice");
    let reported = 30 + first.0 as u64;
    drop(parallel.map(marked, kept.inputs([reported])).unwrap());
    assert_eq!(kept.marks.count_of(reported), 1);
}

fn errors_of_tasks_are_run_again(make: Make<'_>) {
    fn fallible((folder, n): Input) -> Result<u64, String> {
        match mark(&folder, n) {
            0 if n % 4 == 3 => Err(format!("no {n}")),
            _ => Ok(square(n)),
        }
    }
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    let mut failures = 0;
    let run = loop {
        match parallel.try_map(fallible, kept.inputs(0..12)) {
            Ok(run) => break run,
            Err(error) => {
                failures += 1;
                assert!(error.is_failure() && failures <= 3, "{error}");
                let n = error.task_index().unwrap();
                assert_eq!(error.take_cause::<String>().unwrap(), format!("no {n}"));
            }
        }
    };
    assert_eq!(run.results, squares(0..12));
    assert!((1..=3).contains(&failures), "{failures}");
    // It may have run again beside one whose failure ended the call.
    let attempts = kept.marks.count_of(3);
    assert!((2..=failures + 1).contains(&attempts), "{attempts} attempts in {failures} failures");
}

fn kept_results_come_back_as_they_were(make: Make<'_>) {
    type All =
        (Option<Option<()>>, Vec<u8>, f64, BTreeMap<String, (i128, char)>, Result<(), String>);
    fn all(n: u64) -> All {
        let map = BTreeMap::from([(format!("n{n}"), (i128::from(n) - (1 << 100), 'ß'))]);
        let nested = [None, Some(None), Some(Some(()))][n as usize % 3];
        (
            nested,
            vec![n as u8; 300],
            f64::from_bits(0x7ff8_0000_0000_0000 + n),
            map,
            Err("e".into()),
        )
    }
    let kept = Kept::new();
    let parallel = make(2).resume(kept.path());
    let bits = |all: Vec<All>| {
        all.into_iter().map(|(a, b, c, d, e)| (a, b, c.to_bits(), d, e)).collect::<Vec<_>>()
    };
    let expected = bits((0..6).map(all).collect());
    for resumed in [0, 6] {
        let run = parallel.map(all, 0..6).unwrap();
        assert_eq!(run.resumed(), resumed);
        assert_eq!(bits(run.results), expected);
    }
}

/// What serde refuses to write.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written(#[serde(serialize_with = "even")] u64);

fn even<S: serde::Serializer>(n: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match n % 2 {
        0 => serializer.serialize_u64(*n),
        _ => Err(serde::ser::Error::custom("it is odd")),
    }
}

fn tasks_that_cannot_be_written_leave_the_others_in_their_places(make: Make<'_>) {
    let kept = Kept::new();
    let whole = [0, 2, 5, 4, 6, 7, 9, 8, 10];
    for parallel in [make(2).batch_size(4).retries(1), make(2).batch_size(4).resume(kept.path())] {
        let tasks = whole.map(|n| delayed(|written: Written| written.0, Written(n)));
        let outcomes: Vec<Option<u64>> = parallel
            .iter(tasks)
            .unwrap()
            .map(|outcome| match outcome {
                Ok(n) => Some(n),
                Err(error) => {
                    assert!(error.to_string().contains("it is odd"), "{error}");
                    None
                }
            })
            .collect();
        assert_eq!(outcomes, whole.map(|n| Some(n).filter(|n| n % 2 == 0)));
    }
}
