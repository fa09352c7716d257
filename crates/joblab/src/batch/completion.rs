//! The way back from a batch to the call that made it.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::ThreadId;
use std::time::Duration;

use super::order::Order;
use super::runner::{Outcomes, Rules};
use crate::error::Error;
use crate::os::MAIN_THREAD;
use crate::shared::Files;

/// What a call waits for.
pub(crate) enum Event {
    /// A batch has ended, well or not.
    Ended(Range<usize>, Result<BatchEnd, Error>),
    /// The call's token was cancelled.
    Cancelled,
}

/// How a batch has ended.
pub(crate) enum BatchEnd {
    /// In this process.
    Here(Finished),
    /// In another one, whose message has not been read.
    Elsewhere(Reply),
    /// In another one, which has died.
    Died(Box<Death>),
    /// In an earlier call: this is the result of its only task.
    Resumed(Results),
}

/// What is known of a batch whose worker process has died.
pub(crate) struct Death {
    /// So many of its tasks had ended.
    pub(crate) ended: usize,
    /// What the worker would have answered for those.
    pub(crate) reply: Reply,
    /// The error of the next task, which was running.
    pub(crate) error: Option<Error>,
}

/// The results of a batch's tasks: a `vec::IntoIter` of their type.
pub(crate) type Results = Box<dyn Any + Send>;

/// What became of a batch's tasks, and who ran them.
pub(crate) struct Finished {
    pub(crate) outcomes: Outcomes,
    pub(crate) results: Results,
    pub(crate) pid: u32,
    pub(crate) thread: Arc<str>,
    /// That thread, if it is one of this process.
    pub(crate) thread_id: Option<ThreadId>,
}

/// A worker in another process, as the records of its tasks show it.
pub(crate) struct RemoteWorker {
    pub(crate) pid: u32,
    pub(crate) thread: Arc<str>,
    /// By how many nanoseconds its monotonic clock is ahead of ours.
    pub(crate) clock_ahead: i64,
}

impl RemoteWorker {
    /// A process of this machine.
    pub(crate) fn process(pid: u32) -> Self {
        RemoteWorker { pid, thread: MAIN_THREAD.into(), clock_ahead: 0 }
    }
}

/// The message of a worker in another process.
pub(crate) struct Reply {
    pub(crate) worker: RemoteWorker,
    pub(crate) message: Vec<u8>,
    /// Where in it the outcomes begin.
    pub(crate) outcomes: usize,
    /// The files of the shared memory that is in it.
    pub(crate) files: Files,
}

/// What all batches of a call have in common.
pub(crate) struct CallShared {
    pub(crate) cancelled: AtomicBool,
    /// The caller's process.
    pub(crate) pid: u32,
    pub(crate) rules: Rules,
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) order: Order,
}

/// Whom to tell what became of a batch. Dropped untold, it tells that the batch is lost.
pub(crate) struct Completion {
    tasks: Range<usize>,
    events: Option<Sender<Event>>,
    call: Arc<CallShared>,
}

impl Completion {
    pub(crate) fn new(tasks: Range<usize>, events: Sender<Event>, call: Arc<CallShared>) -> Self {
        Completion { tasks, events: Some(events), call }
    }

    pub(crate) fn call(&self) -> &Arc<CallShared> {
        &self.call
    }

    /// The tasks' places in the order in which the call starts them.
    pub(crate) fn places(&self) -> Range<usize> {
        self.tasks.clone()
    }

    /// The list's index of the first task.
    pub(crate) fn first(&self) -> usize {
        self.call.order.index(self.tasks.start)
    }

    /// The list's indices of the tasks.
    pub(crate) fn indices(&self) -> Vec<usize> {
        self.tasks.clone().map(|place| self.call.order.index(place)).collect()
    }

    /// Whether the call still wants the tasks to run.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.call.cancelled.load(Ordering::Relaxed)
    }

    /// How long each task may run.
    pub(crate) fn task_timeout(&self) -> Option<Duration> {
        self.call.task_timeout
    }

    /// The batch has ended in this process.
    pub(crate) fn ended(mut self, finished: Finished) {
        self.tell(Ok(BatchEnd::Here(finished)));
    }

    /// A worker in another process has answered.
    pub(crate) fn replied(mut self, reply: Reply) {
        self.tell(Ok(BatchEnd::Elsewhere(reply)));
    }

    /// The worker, in another process, has died.
    pub(crate) fn died(mut self, death: Death) {
        self.tell(Ok(BatchEnd::Died(Box::new(death))));
    }

    /// The only task need not run: this is its result.
    pub(crate) fn resumed(mut self, result: Results) {
        self.tell(Ok(BatchEnd::Resumed(result)));
    }

    /// Parts with the tasks from the given one on, for which somebody else is to tell then.
    pub(crate) fn split_off(&mut self, first: usize) -> Completion {
        let tasks = first..std::mem::replace(&mut self.tasks.end, first);
        Completion { tasks, events: self.events.clone(), call: Arc::clone(&self.call) }
    }

    /// The batch has failed as a whole.
    pub(crate) fn failed(mut self, error: Error) {
        self.tell(Err(error));
    }

    fn tell(&mut self, ended: Result<BatchEnd, Error>) {
        if let Some(events) = self.events.take() {
            // A caller that has gone away needs no answer.
            let _ = events.send(Event::Ended(self.tasks.clone(), ended));
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.events.is_some() {
            self.tell(Err(Error::lost(self.first())));
        }
    }
}
