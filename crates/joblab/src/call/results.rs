//! What a call's caller gets: all results at once, or one after the other. The typed end of a call.

use std::fmt::Debug;
use std::ops::Range;
use std::vec;

use super::collect::{OutcomeQueue, Take};
use super::engine::{CallEnd, Engine, Setup, run_to_end};
use super::tasks::Tasks;
use crate::batch::{Order, Results};
use crate::error::Error;
use crate::measure::Run;

/// Results in the order in which they were given.
struct Taken<R> {
    results: Vec<R>,
    /// The tasks whose results those are.
    tasks: Vec<Range<usize>>,
    /// What tasks returned that have failed.
    failed: Vec<(usize, R)>,
}

impl<R> Taken<R> {
    fn new() -> Self {
        Taken { results: Vec::new(), tasks: Vec::new(), failed: Vec::new() }
    }
}

/// The task of each result.
fn each(tasks: Vec<Range<usize>>) -> Vec<usize> {
    tasks.into_iter().flatten().collect()
}

impl<R: 'static> Take for Taken<R> {
    fn take(&mut self, tasks: Range<usize>, succeeded: bool, results: &mut Results) {
        let Some(results) = results.downcast_mut::<vec::IntoIter<R>>() else { return };
        for index in tasks.clone() {
            let Some(result) = results.next() else { break };
            if succeeded {
                self.results.push(result);
            } else {
                self.failed.push((index, result));
            }
        }
        if succeeded {
            self.tasks.push(tasks);
        }
    }
}

/// Runs a call to its end, or to the first failure.
pub(crate) fn run<R: Send + 'static>(
    setup: Setup<'_>,
    tasks: &mut dyn Tasks,
) -> Result<Run<R>, Error> {
    let mut taken = Taken::new();
    match run_to_end(setup, tasks, &mut taken) {
        Ok(ended) => Ok(run_of(taken.results, ended)),
        Err(error) => Err(error.with_finished(each(taken.tasks), Box::new(taken.results))),
    }
}

fn run_of<R>(results: Vec<R>, ended: CallEnd) -> Run<R> {
    let CallEnd { timing, records: tasks, n_workers } = ended;
    Run::new(results, timing, tasks, n_workers)
}

/// Does the same where tasks are started in another order than the list's, in which results are given.
pub(crate) fn run_in_order<R: Send + 'static>(
    setup: Setup<'_>,
    tasks: &mut dyn Tasks,
    order: &Order,
) -> Result<Run<R>, Error> {
    let setup = Setup { order: Some(order), ..setup };
    let mut taken = Taken::new();
    let ended = run_to_end(setup, tasks, &mut taken);
    let indices: Vec<usize> = each(taken.tasks).into_iter().map(|it| order.index(it)).collect();
    match ended {
        Ok(ended) => {
            let mut results: Vec<_> = indices.into_iter().zip(taken.results).collect();
            results.sort_unstable_by_key(|(index, _)| *index);
            Ok(run_of(results.into_iter().map(|(_, result)| result).collect(), ended))
        }
        Err(error) => Err(error.with_finished(indices, Box::new(taken.results))),
    }
}

/// Does the same where an `Err` that a task returns is its failure.
pub(crate) fn try_run<T, E>(setup: Setup<'_>, tasks: &mut dyn Tasks) -> Result<Run<T>, Error>
where
    T: Send + 'static,
    E: Debug + Send + 'static,
{
    let mut taken: Taken<Result<T, E>> = Taken::new();
    match run_to_end(setup, tasks, &mut taken) {
        Ok(ended) => {
            let results = taken.results.into_iter().filter_map(Result::ok).collect();
            Ok(run_of(results, ended))
        }
        Err(mut error) => {
            let first = error.task_index().filter(|_| error.is_failure());
            for (index, failed) in std::mem::take(&mut taken.failed) {
                if let Err(cause) = failed
                    && first == Some(index)
                {
                    error = Error::failure(index, cause);
                }
            }
            let finished = taken.results.into_iter().filter_map(Result::ok);
            Err(error.with_finished(each(taken.tasks), Box::new(finished.collect::<Vec<_>>())))
        }
    }
}

/// Results as they become ready, each with its index.
pub(crate) struct Unordered<'p, T, R> {
    engine: Engine<'p>,
    tasks: T,
    queue: OutcomeQueue,
    taken: Taken<R>,
}

impl<'p, T, R> Unordered<'p, T, R> {
    pub(crate) fn new(setup: Setup<'p>, tasks: T) -> Result<Self, Error> {
        let engine = Engine::new(setup)?;
        let queue = OutcomeQueue::unordered();
        Ok(Unordered { engine, tasks, queue, taken: Taken::new() })
    }
}

impl<T: Tasks, R: 'static> Iterator for Unordered<'_, T, R> {
    type Item = Result<(usize, R), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.engine.fill(&mut self.tasks, &mut self.queue);
        let Some((index, outcome)) = self.queue.take(&mut self.taken) else {
            return last.map(Err);
        };
        Some(outcome.and_then(|()| next(&mut self.taken, index).map(|result| (index, result))))
    }
}

/// Results in the order of the tasks, each as soon as it and all before it are ready.
pub(crate) struct Ordered<'p, T, R> {
    engine: Engine<'p>,
    tasks: T,
    queue: OutcomeQueue,
    taken: Taken<R>,
}

impl<'p, T, R> Ordered<'p, T, R> {
    pub(crate) fn new(setup: Setup<'p>, tasks: T) -> Result<Self, Error> {
        let engine = Engine::new(setup)?;
        let queue = OutcomeQueue::ordered();
        Ok(Ordered { engine, tasks, queue, taken: Taken::new() })
    }
}

impl<T: Tasks, R: Send + 'static> Iterator for Ordered<'_, T, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.engine.fill(&mut self.tasks, &mut self.queue);
        if let Some((index, outcome)) = self.queue.take(&mut self.taken) {
            return Some(outcome.and_then(|()| next(&mut self.taken, index)));
        }
        // What is ready behind a gap is given back with the error that left it.
        let last = last?;
        self.queue.take_behind_gap(&mut self.taken);
        let taken = std::mem::replace(&mut self.taken, Taken::new());
        Some(Err(last.with_finished(each(taken.tasks), Box::new(taken.results))))
    }
}

/// The result that was just taken.
fn next<R>(taken: &mut Taken<R>, index: usize) -> Result<R, Error> {
    taken.tasks.clear();
    taken.results.pop().ok_or_else(|| Error::lost(index))
}
