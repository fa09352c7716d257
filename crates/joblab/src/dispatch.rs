//! The call itself, once for every backend: pulls tasks, hands them out in batches, brings results
//! home in order, measures, and stops at the first failure.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use crate::backend::{Answer, Job, Packed, Pool};
use crate::batch::{self, Failure, Outcomes};
use crate::error::{self, Error};
use crate::run::{Run, TaskRecord};
use crate::task::{Data, Delayed, Task};
use crate::timing::{Moment, Stopwatch, TaskTimes};
use crate::{trampoline, worker};

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

/// The caller's iterator, from which batches of calls of one function are pulled.
struct Input<I, A, R> {
    tasks: I,
    /// A call that was pulled and was of another function than the ones before it.
    held: Option<Delayed<A, R>>,
}

impl<T: Task, I: Iterator<Item = T>> Input<I, T::Arg, T::Output> {
    fn new(tasks: I) -> Self {
        Input { tasks, held: None }
    }

    /// How many tasks are left, where the iterator knows.
    fn remaining(&self) -> Option<usize> {
        match self.tasks.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        }
    }

    /// Up to `most` calls of one function; none at the end. Where the iterator panics, the error
    /// is how many it gave before, and the panic's message.
    fn pull(&mut self, most: usize) -> Pulled<T::Arg, T::Output> {
        let mut calls: Option<Calls<_, _>> = None;
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..most {
                let held = self.held.take();
                let Some(call) = held.or_else(|| self.tasks.next().map(Task::into_delayed)) else {
                    break;
                };
                let calls = calls.get_or_insert(Calls {
                    f: call.f,
                    arguments: Vec::new(),
                });
                if calls.f as usize != call.f as usize {
                    self.held = Some(call);
                    break;
                }
                calls.arguments.push(call.arg);
            }
        }));
        match pulled {
            Ok(()) => Ok(calls),
            Err(payload) => {
                let before = calls.map_or(0, |calls| calls.arguments.len());
                Err((before, error::panic_message(payload)))
            }
        }
    }
}

type Pulled<A, R> = Result<Option<Calls<A, R>>, (usize, String)>;

/// Calls of one function.
struct Calls<A, R> {
    f: fn(A) -> R,
    arguments: Vec<A>,
}

/// How many tasks travel together: as many as take the pool's batch duration, by what the last
/// batches took in their workers. Starts with one and at most doubles, after joblib's
/// `AutoBatchingMixin` (joblib/_parallel_backends.py).
struct BatchSize {
    size: usize,
    duration: Option<Duration>,
    n_workers: usize,
}

impl BatchSize {
    fn new(pool: &dyn Pool) -> Self {
        BatchSize {
            size: 1,
            duration: pool.batch_duration(),
            n_workers: pool.n_workers(),
        }
    }

    /// The next batch's size. Towards the end batches get smaller, so that all workers end together
    /// and no slow task has many waiting behind it.
    fn next(&self, remaining: Option<usize>) -> usize {
        let share = remaining.map_or(usize::MAX, |remaining| remaining / (4 * self.n_workers));
        self.size.min(share).max(1)
    }

    fn learn(&mut self, times: &[TaskTimes]) {
        let Some(duration) = self.duration else {
            return;
        };
        let wall: Duration = times.iter().map(|times| times.wall).sum();
        let tasks = times.len() as f64;
        let fitting = tasks * duration.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        if wall > 2 * duration {
            self.size = self.size.min(fitting as usize).max(1);
        } else if wall < duration && times.len() >= self.size {
            self.size = (2 * self.size).min(fitting as usize).max(self.size);
        }
    }
}

/// What a worker reports when a batch has ended.
struct Event<R> {
    tasks: Range<usize>,
    ended: Result<Ended<R>, Error>,
}

/// A batch's outcomes, on their way home.
enum Ended<R> {
    Here(EndedHere<R>),
    /// The message of a worker process, and where in it the outcomes begin.
    Packed {
        pid: u32,
        message: Vec<u8>,
        outcomes: usize,
    },
}

/// A batch's outcomes, and who ran it.
struct EndedHere<R> {
    outcomes: Outcomes<R>,
    pid: u32,
    thread: String,
}

impl<R: Data> Ended<R> {
    fn unpack(self, tasks: &Range<usize>) -> Result<EndedHere<R>, Error> {
        match self {
            Ended::Here(ended) => Ok(ended),
            Ended::Packed {
                pid,
                message,
                outcomes,
            } => {
                let outcomes = batch::read_outcomes(&message[outcomes..])
                    .ok_or_else(|| Error::result(tasks.start, "the worker's message is torn"))?;
                let thread = worker::MAIN_THREAD.to_owned();
                Ok(EndedHere {
                    outcomes,
                    pid,
                    thread,
                })
            }
        }
    }
}

/// Tasks of one function, with all that they need to be run and answered.
struct Batch<A, R> {
    calls: Calls<A, R>,
    way_home: WayHome<R>,
}

/// Whom to tell what became of a batch.
struct WayHome<R> {
    tasks: Range<usize>,
    events: Sender<Event<R>>,
    cancelled: Arc<AtomicBool>,
}

impl<R> WayHome<R> {
    fn is_wanted(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed)
    }

    fn report(self, ended: Result<Ended<R>, Error>) {
        let tasks = self.tasks;
        // A caller that has gone away needs no answer.
        let _ = self.events.send(Event { tasks, ended });
    }
}

impl<A: Data, R: Data> Job for Batch<A, R> {
    fn run(self: Box<Self>) {
        let Batch { calls, way_home } = *self;
        if !way_home.is_wanted() {
            return;
        }
        let outcomes = batch::run(calls.f, calls.arguments, || way_home.is_wanted());
        way_home.report(Ok(Ended::Here(EndedHere {
            outcomes,
            pid: std::process::id(),
            thread: worker::thread_name(),
        })));
    }

    fn pack(self: Box<Self>, mut message: Vec<u8>) -> Result<Packed, Error> {
        let Batch { calls, way_home } = *self;
        for (index, argument) in way_home.tasks.clone().zip(calls.arguments) {
            batch::write_argument(&argument, &mut message)
                .map_err(|reason| Error::argument(index, reason))?;
        }
        Ok(Packed {
            message,
            function: calls.f as usize,
            trampoline: trampoline::address_of::<A, R>(),
            answer: Box::new(way_home),
        })
    }
}

impl<R: Data> Answer for WayHome<R> {
    fn tasks(&self) -> Range<usize> {
        self.tasks.clone()
    }

    fn is_wanted(&self) -> bool {
        WayHome::is_wanted(self)
    }

    fn done(self: Box<Self>, pid: u32, message: Vec<u8>, outcomes: usize) {
        self.report(Ok(Ended::Packed {
            pid,
            message,
            outcomes,
        }));
    }

    fn failed(self: Box<Self>, error: Error) {
        self.report(Err(error));
    }
}
