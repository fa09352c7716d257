//! The run of a batch's tasks, one after the other: what stops it, what each task took, and which
//! failed. Only the calls of the tasks themselves are elsewhere, since they have types.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec;

use super::nesting::Nesting;
use crate::codec::Fields;
use crate::error::panic_message;
use crate::measure::{Laps, TaskTimes};

/// How a call's batches are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether the tasks behind one that has failed are run.
    pub(crate) keep_going: bool,
    /// Where the tasks are.
    pub(crate) nesting: Nesting,
}

impl Rules {
    pub(crate) fn write(&self, message: &mut Vec<u8>) {
        message.push(self.keep_going.into());
        message.extend(self.nesting.to_bytes());
    }

    pub(crate) fn read(message: &mut Fields<'_>) -> Option<Rules> {
        let [keep_going] = message.chunk()?;
        let nesting = Nesting::from_bytes(*message.chunk()?);
        Some(Rules { keep_going: *keep_going != 0, nesting })
    }
}

/// Why a task has no result that counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It panicked, with this message.
    Panicked(String),
    /// Its worker has no state for it, for this reason.
    NoState(String),
    /// Its worker could not read its argument, for this reason.
    ArgumentUnread(String),
    /// Its result could not be carried, for this reason.
    NotCarried(String),
    /// What it returned is an error of its own. It stands among the results.
    Returned,
}

/// What became of a batch's tasks, but for their results.
#[derive(Default)]
pub(crate) struct Outcomes {
    /// Of each task that was begun.
    pub(crate) times: Vec<TaskTimes>,
    /// The tasks that failed, by their places in the batch, in order.
    pub(crate) failures: Vec<(usize, Failure)>,
}

/// What runs and can panic in between.
pub(crate) trait Resumable {
    /// Whether nothing more should be run.
    fn is_over(&self) -> bool;

    /// Notes what stopped the run.
    fn panicked(&mut self, message: String);
}

/// Calls `run` until all is done, and once more behind each task that panicked.
pub(crate) fn resume<T: Resumable>(tasks: &mut T, run: &mut dyn FnMut(&mut T)) {
    while !tasks.is_over() {
        match catch_unwind(AssertUnwindSafe(|| run(tasks))) {
            Ok(()) => return,
            Err(payload) => tasks.panicked(panic_message(payload)),
        }
    }
}

/// What a batch's run notes of each task.
pub(crate) struct Recorder<'a> {
    keep_going: bool,
    cancelled: Option<&'a AtomicBool>,
    is_over: bool,
    laps: Laps,
    failures: Vec<(usize, Failure)>,
}

impl<'a> Recorder<'a> {
    /// The run stops when `cancelled` is set.
    pub(crate) fn new(rules: &Rules, laps: Laps, cancelled: Option<&'a AtomicBool>) -> Self {
        let keep_going = rules.keep_going;
        Recorder { keep_going, cancelled, is_over: false, laps, failures: Vec::new() }
    }

    /// Whether another task may begin.
    pub(crate) fn goes_on(&self) -> bool {
        !self.is_over && !self.cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
    }

    /// A task has ended. `has_failed`: whether what it returned is an error of its own.
    pub(crate) fn ended(&mut self, has_failed: bool) {
        self.ended_remotely(has_failed, 0);
    }

    /// The same for one whose argument and result travel: they are so many bytes.
    pub(super) fn ended_remotely(&mut self, has_failed: bool, carried: u64) {
        if has_failed {
            self.note_failure(Failure::Returned);
        }
        self.laps.lap(carried);
    }

    /// A task has ended without a result that counts.
    pub(crate) fn failed(&mut self, failure: Failure) {
        self.note_failure(failure);
        self.laps.lap(0);
    }

    fn note_failure(&mut self, failure: Failure) {
        self.failures.push((self.laps.count(), failure));
        self.is_over = !self.keep_going;
    }

    /// What the task took that has ended last.
    pub(crate) fn last_times(&self) -> Option<TaskTimes> {
        self.laps.last()
    }

    pub(crate) fn finish(self) -> Outcomes {
        Outcomes { times: self.laps.finish(), failures: self.failures }
    }
}

impl Resumable for Recorder<'_> {
    fn is_over(&self) -> bool {
        self.is_over
    }

    fn panicked(&mut self, message: String) {
        self.failed(Failure::Panicked(message));
    }
}

/// Calls `f` on arguments in this thread, one after the other.
pub(crate) fn run_each<A, R>(
    mut f: impl FnMut(A) -> R,
    has_failed: impl Fn(&R) -> bool,
    arguments: &mut vec::IntoIter<A>,
    results: &mut Vec<R>,
    recorder: &mut Recorder<'_>,
) {
    while recorder.goes_on()
        && let Some(argument) = arguments.next()
    {
        let result = f(argument);
        recorder.ended(has_failed(&result));
        results.push(result);
    }
}
