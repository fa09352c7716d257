//! What a call's caller gets: all results at once, or one after the other. The typed end of a call.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::vec;

use super::collect::{All, Queue};
use super::engine::{Ended, Engine};
use super::tasks::Tasks;
use crate::batch::Results;
use crate::error::Error;
use crate::measure::Run;

/// Runs a call to its end, or to the first failure: then what runs is stopped, or, where the pool
/// cannot do that, waited for.
pub(crate) fn run<R: Send + 'static>(
    engine: Engine<'_>,
    tasks: &mut dyn Tasks,
) -> Result<Run<R>, Error> {
    let (mut all, ended) = engine.run(tasks);
    match ended {
        Ok(Ended { timing, records, n_workers }) => {
            let mut results = Vec::with_capacity(records.len());
            each(&mut all, |_, _, result| results.push(result));
            Ok(Run { results, timing, tasks: records, n_workers })
        }
        Err(error) => {
            let mut finished: Vec<(usize, R)> = Vec::new();
            each(&mut all, |index, counts, result| {
                if counts {
                    finished.push((index, result));
                }
            });
            Err(error.with_finished(finished))
        }
    }
}

/// Does the same where an `Err` that a task returns is its failure.
pub(crate) fn try_run<T, E>(engine: Engine<'_>, tasks: &mut dyn Tasks) -> Result<Run<T>, Error>
where
    T: Send + 'static,
    E: Debug + Send + 'static,
{
    let (mut all, ended) = engine.run(tasks);
    let mut finished = Vec::new();
    let mut failures = Vec::new();
    each(&mut all, |index, _, result: Result<T, E>| match result {
        Ok(result) => finished.push((index, result)),
        Err(cause) => failures.push((index, cause)),
    });
    match ended {
        Ok(Ended { timing, records, n_workers }) => {
            let results = finished.into_iter().map(|(_, result)| result).collect();
            Ok(Run { results, timing, tasks: records, n_workers })
        }
        Err(mut error) => {
            let failed = error.task_index().filter(|_| error.is_failure());
            if let Some(place) = failures.iter().position(|(index, _)| Some(*index) == failed) {
                let (index, cause) = failures.swap_remove(place);
                error = Error::failure(index, cause);
            }
            Err(error.with_finished(finished))
        }
    }
}

/// Takes each result in the order of the list.
fn each<R: 'static>(all: &mut All, mut take: impl FnMut(usize, bool, R)) {
    for segment in std::mem::take(&mut all.segments) {
        for index in segment.first..segment.first + segment.tasks {
            if let Some(result) = next(&mut all.batches[segment.batch]) {
                take(index, segment.counts, result);
            }
        }
    }
}

/// The next result of a batch.
fn next<R: 'static>(results: &mut Results) -> Option<R> {
    results.downcast_mut::<vec::IntoIter<R>>()?.next()
}

/// Results as they become ready, each with its index.
pub(crate) struct Unordered<'p, T, R> {
    engine: Engine<'p>,
    tasks: T,
    queue: Queue,
    result: PhantomData<fn() -> R>,
}

impl<'p, T, R> Unordered<'p, T, R> {
    pub(crate) fn new(engine: Engine<'p>, tasks: T) -> Self {
        Unordered { engine, tasks, queue: Queue::unordered(), result: PhantomData }
    }
}

impl<T: Tasks, R: 'static> Iterator for Unordered<'_, T, R> {
    type Item = Result<(usize, R), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.engine.fill(&mut self.tasks, &mut self.queue);
        match self.queue.take(next) {
            Some((index, outcome)) => Some(outcome.map(|result| (index, result))),
            None => last.map(Err),
        }
    }
}

/// Results in the order of the tasks, each as soon as it and all before it are ready.
pub(crate) struct Ordered<'p, T, R> {
    engine: Engine<'p>,
    tasks: T,
    queue: Queue,
    result: PhantomData<fn() -> R>,
}

impl<'p, T, R> Ordered<'p, T, R> {
    pub(crate) fn new(engine: Engine<'p>, tasks: T) -> Self {
        Ordered { engine, tasks, queue: Queue::ordered(), result: PhantomData }
    }
}

impl<T: Tasks, R: Send + 'static> Iterator for Ordered<'_, T, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.engine.fill(&mut self.tasks, &mut self.queue);
        if let Some((_, outcome)) = self.queue.take(next) {
            return Some(outcome);
        }
        // What is ready behind a gap is given back with the error that left it.
        Some(Err(last?.with_finished(self.queue.take_behind_gap(next::<R>))))
    }
}
