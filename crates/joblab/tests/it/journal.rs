//! What is known of a worker's tasks after its death: nothing that has ended runs again, and the one
//! that was running is named.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use joblab::{Backend, Parallel, SharedSlice, delayed};

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

/// A file in which tasks leave their numbers, removed in the end.
struct Ran(PathBuf);

impl Ran {
    fn new(name: &str) -> Self {
        let ran = Ran(std::env::temp_dir().join(format!("joblab-{name}-{}", std::process::id())));
        let _ = fs::remove_file(&ran.0);
        ran
    }

    fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// How often each task ran.
    fn times(&self) -> BTreeMap<u64, usize> {
        let mut times = BTreeMap::new();
        for line in fs::read_to_string(&self.0).unwrap_or_default().lines() {
            *times.entry(line.parse().unwrap()).or_default() += 1;
        }
        times
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn note(path: &Path, n: u64) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{n}\n").as_bytes()).unwrap();
}

/// Notes that it ran, and ends its worker where the two are equal.
fn aborts_at((path, victim, n): (PathBuf, u64, u64)) -> u64 {
    note(&path, n);
    if n == victim {
        std::process::abort();
    }
    n
}

#[test]
fn an_iterators_tasks_run_once_and_only_the_one_that_crashed_fails() {
    let ran = Ran::new("once");
    for (batch_size, victim) in [(1, 0), (50, 0), (50, 49), (50, 120), (300, 150), (0, 150)] {
        let _ = fs::remove_file(ran.path());
        let parallel = match batch_size {
            0 => pool(2),
            size => pool(2).batch_size(size),
        };
        let tasks = || (0..300).map(|n| delayed(aborts_at, (ran.path(), victim, n)));
        let outcomes: Vec<_> = parallel.iter(tasks()).unwrap().collect();
        assert_eq!(outcomes.len(), 300);
        for (n, outcome) in (0..).zip(outcomes) {
            match outcome {
                Ok(result) => assert_eq!(result, n),
                Err(error) => {
                    assert_eq!((n, error.task_index()), (victim, Some(victim as usize)), "{error}");
                    let message = error.to_string();
                    assert!(message.contains(&format!("while it ran task {victim}.")), "{message}");
                    assert!(error.is_worker_death() && message.contains("SIGABRT"), "{message}");
                }
            }
        }
        let times = ran.times();
        assert!(times.len() == 300 && times.values().all(|times| *times == 1), "{times:?}");
        let unordered = parallel.iter_unordered(tasks()).unwrap();
        assert_eq!(unordered.filter(Result::is_err).count(), 1);
        assert!(ran.times().values().all(|times| *times == 2));
    }
}

#[test]
fn a_call_names_the_one_task_that_ended_its_worker() {
    let ran = Ran::new("named");
    let inputs = (0..40).map(|n| (ran.path(), 25, n));
    let error = pool(2).batch_size(20).map(aborts_at, inputs).unwrap_err();
    assert_eq!(error.task_index(), Some(25), "{error}");
    assert!(error.is_worker_death() && error.to_string().contains("task 25."), "{error}");
}

#[test]
fn only_the_attempt_of_the_task_that_crashed_counts() {
    fn aborts_once((path, victim, n): (PathBuf, u64, u64)) -> u64 {
        let is_first = !fs::read_to_string(&path).unwrap_or_default().contains("77\n");
        note(&path, n);
        if n == victim && is_first {
            std::process::abort();
        }
        n
    }
    let ran = Ran::new("attempts");
    let inputs = || (0..100).map(|n| (ran.path(), 77, n));
    let run = pool(2).batch_size(25).retries(1).map(aborts_once, inputs()).unwrap();
    assert_eq!(run.results, Vec::from_iter(0..100));
    assert_eq!(run.tasks.len(), 100);
    let times = ran.times();
    assert_eq!(times.remove_and_get(77), (2, true), "{times:?}");
    let error = pool(1).batch_size(10).retries(2).map(aborts_at, [(ran.path(), 5, 5)]).unwrap_err();
    assert!(error.is_worker_death(), "{error}");
    assert_eq!(ran.times()[&5], 4, "once before, and three attempts");
}

trait Times {
    /// How often this one ran, and whether all others ran once.
    fn remove_and_get(&self, n: u64) -> (usize, bool);
}

impl Times for BTreeMap<u64, usize> {
    fn remove_and_get(&self, n: u64) -> (usize, bool) {
        (self[&n], self.iter().all(|(other, times)| *other == n || *times == 1))
    }
}

#[test]
fn a_result_that_could_not_be_kept_is_an_error_that_says_so() {
    fn large((path, n): (PathBuf, u64)) -> Vec<u8> {
        note(&path, n);
        match n {
            3 => std::process::abort(),
            1 => vec![1; 3 << 20],
            _ => vec![n as u8; 10],
        }
    }
    let ran = Ran::new("large");
    let tasks = (0..6).map(|n| delayed(large, (ran.path(), n)));
    let outcomes: Vec<_> = pool(1).batch_size(6).iter(tasks).unwrap().collect();
    let lengths: Vec<_> = outcomes.iter().map(|one| one.as_ref().map(Vec::len).ok()).collect();
    assert_eq!(lengths, [Some(10), None, Some(10), None, Some(10), Some(10)]);
    let [lost, died] = [1, 3].map(|n| outcomes[n].as_ref().unwrap_err().to_string());
    assert!(lost.contains("task 1") && lost.contains("it has run"), "{lost}");
    assert!(died.contains("while it ran task 3"), "{died}");
    assert!(ran.times().values().all(|times| *times == 1));
}

#[test]
fn panics_and_shared_results_before_a_crash_are_told_as_they_were() {
    fn mixed(n: u64) -> Option<SharedSlice<u64>> {
        match n {
            1 => panic!("on purpose"),
            3 => Some(SharedSlice::from_vec(vec![3]).unwrap()),
            4 => std::process::abort(),
            _ => None,
        }
    }
    let tasks = (0..6).map(|n| delayed(mixed, n));
    let outcomes: Vec<_> = pool(1).batch_size(6).iter(tasks).unwrap().collect();
    let words: Vec<_> =
        outcomes.iter().map(|one| one.as_ref().err().map(ToString::to_string)).collect();
    assert!(words[0].is_none() && words[2].is_none() && words[5].is_none(), "{words:?}");
    assert!(outcomes[1].as_ref().unwrap_err().is_panic());
    let contains = |n: usize, what| words[n].as_ref().is_some_and(|words| words.contains(what));
    assert!(contains(1, "on purpose") && contains(3, "not handed over"), "{words:?}");
    assert!(contains(4, "while it ran task 4"), "{words:?}");
}

#[test]
fn a_worker_that_dies_while_it_makes_its_state_is_an_error() {
    let parallel = pool(2).with_state(|_: &u64| -> u64 { std::process::abort() }, 1);
    let error = parallel.map(|n: u64, _| n, 0..10).unwrap_err();
    assert!(error.is_worker_death(), "{error}");
}
