//! The call itself, once for every backend: pulls tasks, hands them out, brings results home in
//! order, measures, and stops at the first failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use crate::backend::{Answer, Job, Packed, Pool};
use crate::error::{self, Error};
use crate::run::{Run, TaskRecord};
use crate::task::{Data, Delayed, Task};
use crate::timing::{Moment, Stopwatch, TaskClock, TaskTimes};
use crate::{codec, trampoline, worker};

/// What a worker reports when a task has ended.
struct Event<R> {
    index: usize,
    outcome: Result<(Value<R>, TaskRecord), Error>,
}

/// A task's result, on its way home.
enum Value<R> {
    Here(R),
    /// The message of a worker process, and where in it the result begins.
    Packed(Vec<u8>, usize),
}

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
    let mut tasks = tasks.into_iter();
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, events) = mpsc::channel();
    // None once nothing more is to be handed out: then the channel closes with the last job.
    let mut sender = Some(sender);
    let mut under_way = 0;
    let mut finished: Vec<Option<(T::Output, TaskRecord)>> = Vec::new();
    let mut failure: Option<Error> = None;

    loop {
        while under_way < pool.look_ahead()
            && let Some(events) = &sender
        {
            let index = finished.len();
            let next = || tasks.next().map(Task::into_delayed);
            let submitted = match catch_unwind(AssertUnwindSafe(next)) {
                Ok(Some(call)) => pool.submit(Box::new(TaskJob {
                    call,
                    origin: stopwatch.origin(),
                    way_home: WayHome {
                        index,
                        events: events.clone(),
                        cancelled: Arc::clone(&cancelled),
                    },
                })),
                Ok(None) => {
                    sender = None;
                    break;
                }
                Err(payload) => Err(Error::input(index, error::panic_message(payload))),
            };
            match submitted {
                Ok(()) => {
                    finished.push(None);
                    under_way += 1;
                }
                Err(error) => fail(&mut failure, error, &cancelled, &mut sender),
            }
        }
        if failure.is_some() && pool.stop_unwanted() {
            break;
        }
        let Ok(Event { index, outcome }) = events.recv() else {
            break;
        };
        under_way -= 1;
        match outcome.and_then(|(value, record)| Ok((value.unpack(index)?, record))) {
            Ok(task) => finished[index] = Some(task),
            Err(error) => fail(&mut failure, error, &cancelled, &mut sender),
        }
    }

    if failure.is_none() {
        // Where a pool broke down, its tasks were dropped without an answer.
        failure = finished.iter().position(Option::is_none).map(Error::lost);
    }
    if let Some(error) = failure {
        let done = finished.into_iter().enumerate();
        let done = done.filter_map(|(index, task)| Some((index, task?.0)));
        return Err(error.with_finished(done.collect::<Vec<(usize, T::Output)>>()));
    }
    let (results, tasks): (Vec<_>, Vec<TaskRecord>) = finished.into_iter().flatten().unzip();
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

impl<R: Data> Value<R> {
    fn unpack(self, index: usize) -> Result<R, Error> {
        match self {
            Value::Here(result) => Ok(result),
            Value::Packed(message, result) => carried(|| codec::read(&message[result..]))
                .map_err(|reason| Error::result(index, reason)),
        }
    }
}

/// Reads or writes a value. The code that does is the user's, who wrote or derived it for the type:
/// if it panics, the value cannot be carried.
fn carried<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(format!("it panicked: {}", error::panic_message(payload))))
}

/// A task with all that it needs to be run and answered.
struct TaskJob<A, R> {
    call: Delayed<A, R>,
    origin: Moment,
    way_home: WayHome<R>,
}

/// Whom to tell what became of a task.
struct WayHome<R> {
    index: usize,
    events: Sender<Event<R>>,
    cancelled: Arc<AtomicBool>,
}

impl<R> WayHome<R> {
    fn is_wanted(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed)
    }

    fn report(self, outcome: Result<(Value<R>, TaskRecord), Error>) {
        let index = self.index;
        // A caller that has gone away needs no answer.
        let _ = self.events.send(Event { index, outcome });
    }
}

impl<A: Data, R: Data> Job for TaskJob<A, R> {
    fn run(self: Box<Self>) {
        let TaskJob {
            call,
            origin,
            way_home,
        } = *self;
        if !way_home.is_wanted() {
            return;
        }
        let clock = TaskClock::start_in_thread();
        let outcome = catch_unwind(AssertUnwindSafe(|| (call.f)(call.arg)));
        let times = clock.stop();
        let (index, pid, thread) = (way_home.index, std::process::id(), worker::thread_name());
        way_home.report(match outcome {
            Ok(result) => {
                let record = TaskRecord::new(index, pid, thread, &times, origin);
                Ok((Value::Here(result), record))
            }
            Err(payload) => {
                let message = error::panic_message(payload);
                Err(Error::panic(index, &thread, pid, &message))
            }
        });
    }

    fn pack(self: Box<Self>, mut message: Vec<u8>) -> Result<Packed, Error> {
        let TaskJob {
            call,
            origin,
            way_home,
        } = *self;
        carried(|| codec::append(&call.arg, &mut message))
            .map_err(|reason| Error::argument(way_home.index, reason))?;
        Ok(Packed {
            message,
            function: call.f as usize,
            trampoline: trampoline::address_of::<A, R>(),
            answer: Box::new(Awaited { origin, way_home }),
        })
    }
}

/// A task that has gone to another process.
struct Awaited<R> {
    origin: Moment,
    way_home: WayHome<R>,
}

impl<R: Data> Answer for Awaited<R> {
    fn index(&self) -> usize {
        self.way_home.index
    }

    fn is_wanted(&self) -> bool {
        self.way_home.is_wanted()
    }

    fn done(self: Box<Self>, pid: u32, times: &TaskTimes, message: Vec<u8>, result: usize) {
        let thread = worker::MAIN_THREAD.to_owned();
        let record = TaskRecord::new(self.index(), pid, thread, times, self.origin);
        self.way_home
            .report(Ok((Value::Packed(message, result), record)));
    }

    fn failed(self: Box<Self>, error: Error) {
        self.way_home.report(Err(error));
    }
}
