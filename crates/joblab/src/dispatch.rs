//! The call itself, once for every backend: pulls tasks, hands them out in batches, brings results
//! home in order, measures, and stops at the first failure.

mod batch_size;
mod delivery;
mod input;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use self::batch_size::BatchSize;
use self::delivery::{Batch, EndedHere, Event, WayHome};
use self::input::Input;
use crate::backend::Pool;
use crate::batch::Failure;
use crate::error::Error;
use crate::run::{Run, TaskRecord};
use crate::task::Task;
use crate::timing::{Moment, Stopwatch};

/// Runs `tasks` on `pool`.
///
/// Tasks are pulled from the iterator, by this thread alone, as workers get free. After a failure
/// none is pulled and none that waits is started; those that run are stopped, or, where a backend
/// cannot stop them, waited for.
pub(crate) fn run<T: Task>(
    pool: &dyn Pool,
    tasks: impl IntoIterator<Item = T>,
) -> Result<Run<T::Output>, Error> {
    let stopwatch = Stopwatch::start();
    let mut input = Input::new(tasks.into_iter());
    let mut batch_size = BatchSize::new(pool);
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, events) = mpsc::channel();
    // None once nothing more is to be handed out: then the channel closes with the last batch.
    let mut sender = Some(sender);
    let mut under_way = 0;
    let mut finished = Finished::with_capacity(input.remaining());
    let mut failure: Option<Error> = None;

    loop {
        while under_way < pool.look_ahead()
            && let Some(events) = &sender
        {
            let first = finished.results.len();
            let submitted = match input.pull(batch_size.next(input.remaining())) {
                Ok(None) => {
                    sender = None;
                    break;
                }
                Ok(Some(calls)) => {
                    let tasks = first..first + calls.arguments.len();
                    finished.expect(tasks.end);
                    let way_home = WayHome {
                        tasks,
                        events: events.clone(),
                        cancelled: Arc::clone(&cancelled),
                    };
                    pool.submit(Box::new(Batch { calls, way_home }))
                }
                Err((ahead, message)) => Err(Error::input(first + ahead, message)),
            };
            match submitted {
                Ok(()) => under_way += 1,
                Err(error) => fail(&mut failure, error, &cancelled, &mut sender),
            }
        }
        if failure.is_some() && pool.stop_unwanted() {
            break;
        }
        let Ok(Event { tasks, ended }) = events.recv() else {
            break;
        };
        under_way -= 1;
        match ended.and_then(|ended| ended.unpack(&tasks)) {
            Ok(ended) => {
                batch_size.learn(&ended.outcomes.times);
                if let Err(error) = finished.take_in(ended, tasks, stopwatch.origin()) {
                    fail(&mut failure, error, &cancelled, &mut sender);
                }
            }
            Err(error) => fail(&mut failure, error, &cancelled, &mut sender),
        }
    }

    if failure.is_none() {
        // Where a pool broke down, its tasks were dropped without an answer.
        failure = finished
            .records
            .iter()
            .position(Option::is_none)
            .map(Error::lost);
    }
    if let Some(error) = failure {
        let results = finished.results.into_iter().enumerate();
        let results = results.filter_map(|(index, result)| Some((index, result?)));
        return Err(error.with_finished(results.collect::<Vec<(usize, T::Output)>>()));
    }
    // All are there, so that this only takes the wrapping off, where they lie.
    let results = finished
        .results
        .into_iter()
        .map_while(|result| result)
        .collect();
    let tasks: Vec<_> = finished
        .records
        .into_iter()
        .map_while(|record| record)
        .collect();
    let worker_cpu: Duration = tasks.iter().map(|task| task.cpu).sum();
    Ok(Run {
        results,
        timing: stopwatch.stop(worker_cpu),
        tasks,
        n_workers: pool.n_workers(),
    })
}

/// Keeps the first failure, and hands out nothing more.
fn fail<R>(
    failure: &mut Option<Error>,
    error: Error,
    cancelled: &AtomicBool,
    sender: &mut Option<Sender<Event<R>>>,
) {
    failure.get_or_insert(error);
    cancelled.store(true, Ordering::Relaxed);
    *sender = None;
}

/// What has come home, each in its task's place.
struct Finished<R> {
    results: Vec<Option<R>>,
    records: Vec<Option<TaskRecord>>,
}

impl<R> Finished<R> {
    fn with_capacity(tasks: Option<usize>) -> Self {
        // An iterator may promise more than memory holds; pages cost when they are used.
        let capacity = tasks.unwrap_or(0).min(1 << 20);
        Finished {
            results: Vec::with_capacity(capacity),
            records: Vec::with_capacity(capacity),
        }
    }

    /// Makes places for all tasks before `end`.
    fn expect(&mut self, end: usize) {
        self.results.resize_with(end, || None);
        self.records.resize_with(end, || None);
    }

    /// Puts the results of a batch in their places, up to the first failure.
    fn take_in(
        &mut self,
        ended: EndedHere<R>,
        tasks: Range<usize>,
        origin: Moment,
    ) -> Result<(), Error> {
        let EndedHere {
            outcomes,
            pid,
            thread,
        } = ended;
        let pairs = outcomes.outcomes.into_iter().zip(&outcomes.times);
        for (index, (outcome, times)) in tasks.zip(pairs) {
            match outcome {
                Ok(result) => {
                    self.results[index] = Some(result);
                    let record = TaskRecord::new(index, pid, thread.clone(), times, origin);
                    self.records[index] = Some(record);
                }
                Err(Failure::Panicked(message)) => {
                    return Err(Error::panic(index, &thread, pid, &message));
                }
                Err(Failure::NotCarried(reason)) => return Err(Error::result(index, reason)),
            }
        }
        Ok(())
    }
}
