//! What became of a task, or of a call.

use std::fmt::{Debug, Display};
use std::sync::Mutex;
use std::time::Duration;

use super::{Error, Kind, Reason};

impl Error {
    pub(crate) fn input(index: usize, message: &str) -> Self {
        let message = format!(
            "the iterator of tasks panicked when it was asked for task {index}: {message}. \
             The pool can be used again"
        );
        Error::new(Kind::Other, Some(index), message)
    }

    pub(crate) fn argument(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!(
            "task {index} has not run, since its argument cannot be sent to another process"
        );
        let otherwise = "Send a type that serde can write, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    /// For an argument that has been sent.
    pub(crate) fn unread_argument(index: usize, reason: impl Into<Reason>) -> Self {
        let what =
            format!("task {index} has not run, since its worker could not read its argument");
        let otherwise = "Send a type that serde reads as it writes, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    pub(crate) fn function(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("the function of task {index} cannot run in another process");
        Error::refused(Some(index), &what, reason.into(), "")
    }

    pub(crate) fn state(index: usize, reason: impl Display) -> Self {
        let message = format!("task {index} did not run, since its worker has no state: {reason}");
        Error::new(Kind::Panic, Some(index), message)
    }

    pub(crate) fn panic(index: usize, thread: &str, pid: u32, message: &str) -> Self {
        let message = format!(
            "task {index} panicked in thread {thread} of process {pid}: {message}. \
             The pool can be used again"
        );
        Error::new(Kind::Panic, Some(index), message)
    }

    /// For a task that returned an error of its own, which is not known yet.
    pub(crate) fn returned(index: usize) -> Self {
        Error::new(Kind::Failure, Some(index), format!("task {index} failed"))
    }

    /// For a task that returned an error of its own.
    pub(crate) fn failure<E: Debug + Send + 'static>(index: usize, cause: E) -> Self {
        let message = format!("task {index} failed: {cause:?}");
        Error {
            cause: Mutex::new(Some(Box::new(cause))),
            ..Error::new(Kind::Failure, Some(index), message)
        }
    }

    pub(crate) fn result(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("task {index} has run, but its result could not be sent back");
        let otherwise = "Return a type that serde reads as it writes, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    pub(crate) fn torn(index: usize) -> Self {
        let message = format!(
            "what the worker of task {index} answered is not whole; make a new Parallel, and see \
             whether the task writes to files that are not its own"
        );
        Error::new(Kind::Other, Some(index), message)
    }

    /// For the tasks of a batch, of which there is at least one.
    pub(crate) fn died(tasks: &[usize], worker: &str, how: &str) -> Self {
        // Short tasks travel together, and a dead worker cannot say how far it came.
        let (first, last) = (tasks[0], tasks[tasks.len() - 1]);
        let which = match tasks.len() {
            1 => format!("task {first}"),
            n if tasks.is_sorted() && last - first < n => format!("one of tasks {first} to {last}"),
            n => format!("one of {n} tasks, the first of which is task {first}"),
        };
        let message = format!(
            "{worker} {how} while it ran {which}. \
             The pool replaces the worker and can be used again"
        );
        Error::new(Kind::Death, Some(first), message)
    }

    /// For a task that travelled with one whose worker has died, where nobody knows how far it came.
    pub(crate) fn died_with(index: usize, of_the_batch: &str) -> Self {
        let message = format!("task {index} may have run, or not: {of_the_batch}");
        Error::new(Kind::Death, Some(index), message)
    }

    pub(crate) fn lost(index: usize) -> Self {
        let message =
            format!("the pool broke down before task {index} was answered; make a new Parallel");
        Error::new(Kind::Other, Some(index), message)
    }

    pub(crate) fn task_timeout(index: usize, limit: Duration, end: &str) -> Self {
        let message = format!("task {index} ran for longer than task_timeout = {limit:?}; {end}");
        Error::new(Kind::Timeout, Some(index), message)
    }

    pub(crate) fn timeout(option: &str, limit: Duration) -> Self {
        let what = match option {
            "stall_timeout" => "no task had ended for",
            _ => "the call had not ended after",
        };
        let message = format!("{what} {option} = {limit:?}; take_finished gives what had ended");
        Error::new(Kind::Timeout, None, message)
    }

    pub(crate) fn cancelled(done: usize) -> Self {
        let message = format!(
            "the call was cancelled after {done} tasks had ended; take_finished gives their results"
        );
        Error::new(Kind::Cancelled, None, message)
    }
}
