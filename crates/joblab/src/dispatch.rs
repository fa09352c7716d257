//! The call itself, once for every backend: pulls tasks, hands them out, brings results home in
//! order, measures, and stops at the first failure.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::backend::Pool;
use crate::error::Error;
use crate::run::{Run, TaskRecord};
use crate::task::{Delayed, Task};
use crate::timing::{Stopwatch, TaskClock};
use crate::worker;

/// What a worker reports when a task has ended.
struct Event<R> {
    record: TaskRecord,
    /// The result, or the message of the panic.
    outcome: Result<R, String>,
}

/// Runs `tasks` on `pool`.
///
/// Tasks are pulled from the iterator, by this thread alone, as workers get free. After a failure
/// none is pulled and none that waits is started; those that run are waited for.
pub(crate) fn run<T>(
    pool: &dyn Pool,
    tasks: impl IntoIterator<Item = T>,
) -> Result<Run<T::Output>, Error>
where
    T: Task<Arg: Send + 'static, Output: Send + 'static>,
{
    let stopwatch = Stopwatch::start();
    let mut tasks = tasks.into_iter();
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, events) = mpsc::channel();
    // None once nothing more is to be handed out: then the channel closes with the last job.
    let mut sender = Some(sender);
    let mut submitted = 0;
    let mut under_way = 0;
    let mut finished: Vec<Option<(T::Output, TaskRecord)>> = Vec::new();
    let mut failure = None;

    loop {
        while under_way < pool.look_ahead()
            && let Some(events) = &sender
        {
            match catch_unwind(AssertUnwindSafe(|| tasks.next())) {
                Ok(Some(task)) => {
                    let call = task.into_delayed();
                    let events = events.clone();
                    let cancelled = Arc::clone(&cancelled);
                    let origin = stopwatch.origin();
                    finished.push(None);
                    pool.submit(Box::new(move || {
                        if !cancelled.load(Ordering::Relaxed) {
                            // A caller that has gone away needs no answer.
                            let _ = events.send(perform(submitted, call, origin));
                        }
                    }));
                    submitted += 1;
                    under_way += 1;
                }
                Ok(None) => sender = None,
                Err(payload) => {
                    failure = Some(Error::input(submitted, panic_message(payload)));
                    sender = None;
                }
            }
        }
        let Ok(Event { record, outcome }) = events.recv() else {
            break;
        };
        under_way -= 1;
        match outcome {
            Ok(result) => {
                let place = record.index;
                finished[place] = Some((result, record));
            }
            Err(message) => {
                failure.get_or_insert_with(|| {
                    Error::panic(record.index, &record.thread, record.pid, message)
                });
                cancelled.store(true, Ordering::Relaxed);
                sender = None;
            }
        }
    }

    if let Some(error) = failure {
        return Err(error);
    }
    let (results, tasks): (Vec<_>, Vec<TaskRecord>) = finished.into_iter().flatten().unzip();
    debug_assert_eq!(results.len(), submitted, "a backend lost a task");
    let worker_cpu: Duration = tasks.iter().map(|task| task.cpu).sum();
    Ok(Run {
        results,
        timing: stopwatch.stop(worker_cpu),
        tasks,
        n_workers: pool.n_workers(),
    })
}

/// Runs one task here and measures it. A panic of the task ends here.
fn perform<A, R>(index: usize, call: Delayed<A, R>, origin: Instant) -> Event<R> {
    let clock = TaskClock::start(origin);
    let outcome = catch_unwind(AssertUnwindSafe(|| call.call())).map_err(panic_message);
    let times = clock.stop();
    let record = TaskRecord {
        index,
        pid: std::process::id(),
        thread: worker::thread_name(),
        start: times.start,
        wall: times.wall,
        cpu: times.cpu,
    };
    Event { record, outcome }
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(_) => "a panic without a message".to_owned(),
        },
    }
}
