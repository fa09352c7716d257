//! The one error type: what happened, to which task, and what to do.

mod asked;
mod environment;
mod payload;
mod remedy;
mod tasks;

use std::any::Any;
use std::fmt::{self, Debug, Display};
use std::sync::Mutex;

use crate::os::lock;
pub(crate) use payload::{drop_quietly, panic_message};

/// Why a call failed. The message names the task and the remedy.
///
/// `{:?}` prints the same message as `{}`, since that is what a notebook shows when a cell ends
/// in `?`.
pub struct Error {
    kind: Kind,
    task: Option<usize>,
    message: String,
    /// The lock only makes it `Sync`.
    finished: Mutex<Option<Box<Finished>>>,
    /// The task's own error, as it returned it.
    cause: Mutex<Option<Box<dyn Any + Send>>>,
    /// What the system, serde or another library said.
    source: Option<Reason>,
}

/// Results of tasks that had finished. Index and result are put together where they are taken, and not in
/// each cell that calls.
struct Finished {
    indices: Vec<usize>,
    /// A `Vec` of their type.
    results: Box<dyn Any + Send>,
}

/// What the system, serde or another library says: an error, or its words.
pub(crate) type Reason = Box<dyn std::error::Error + Send + Sync>;

/// What a program may want to tell apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    Panic,
    Death,
    Failure,
    Timeout,
    Cancelled,
    Other,
}

impl Error {
    fn new(kind: Kind, task: Option<usize>, message: String) -> Self {
        let (finished, cause) = (Mutex::default(), Mutex::default());
        Error { kind, task, message, finished, cause, source: None }
    }

    /// For what something else has refused: the message goes on with its reason, and then says what to
    /// do, which is `otherwise` where it is not the system that refused.
    fn refused(task: Option<usize>, what: &str, reason: Reason, otherwise: &str) -> Self {
        let words = reason.to_string();
        let message = match remedy::for_reason(&words).unwrap_or(otherwise) {
            "" => format!("{what}: {words}"),
            remedy => format!("{what}: {words}. {remedy}"),
        };
        Error { source: Some(reason), ..Error::new(Kind::Other, task, message) }
    }

    /// An error of a [`Pool`](crate::Pool) of your own.
    pub fn other(reason: impl Display) -> Self {
        Error::new(Kind::Other, None, reason.to_string())
    }

    pub(crate) fn add(&mut self, more: &str) {
        self.message = format!("{}; {more}", self.message);
    }

    /// With the results, a `Vec` of their type, of the tasks of these indices.
    pub(crate) fn with_finished(self, indices: Vec<usize>, results: Box<dyn Any + Send>) -> Self {
        let finished = Box::new(Finished { indices, results });
        Error { finished: Mutex::new(Some(finished)), ..self }
    }

    /// The index of the task that the error is about, from 0 in the order of the list; the first of
    /// them where it is about several that travelled together.
    pub fn task_index(&self) -> Option<usize> {
        self.task
    }

    /// Whether a task panicked.
    pub fn is_panic(&self) -> bool {
        self.kind == Kind::Panic
    }

    /// Whether a worker process ended while it ran a task.
    pub fn is_worker_death(&self) -> bool {
        self.kind == Kind::Death
    }

    /// Whether a task returned an error of its own; [`take_cause`](Self::take_cause) has it.
    pub fn is_failure(&self) -> bool {
        self.kind == Kind::Failure
    }

    /// Whether a task or the call took longer than it may.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Whether the call was cancelled by its token.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Cancelled
    }

    /// Whether the call was asked for something that makes no sense, so that nothing ran.
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Takes the results of the tasks that had finished, each with its index, in the order of the
    /// list. `R` is what the tasks return; with another type, or the second time, there are none.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel};
    /// fn inverse(n: i64) -> i64 {
    ///     100 / n
    /// }
    /// let parallel = Parallel::new(1).backend(Backend::Sequential);
    /// let error = parallel.map(inverse, [5, 10, 0]).unwrap_err();
    /// assert_eq!(error.take_finished::<i64>(), [(0, 20), (1, 10)]);
    /// ```
    pub fn take_finished<R: 'static>(&self) -> Vec<(usize, R)> {
        let is_it = |finished: &mut Box<Finished>| finished.results.is::<Vec<R>>();
        let Some(finished) = lock(&self.finished).take_if(is_it) else { return Vec::new() };
        let Ok(results) = finished.results.downcast::<Vec<R>>() else { return Vec::new() };
        let mut finished: Vec<(usize, R)> = finished.indices.into_iter().zip(*results).collect();
        finished.sort_unstable_by_key(|(index, _)| *index);
        finished
    }

    /// Takes the error that the task returned, as it was. `E` is its type; with another one, or the
    /// second time, there is none.
    pub fn take_cause<E: 'static>(&self) -> Option<E> {
        let cause = lock(&self.cause).take_if(|cause| cause.is::<E>())?;
        cause.downcast().ok().map(|cause| *cause)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The source is what the system, serde or another library said, where the failure is theirs; its words
/// are in the message too.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
