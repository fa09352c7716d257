//! The one error type: what happened, to which task, and what to do.

use std::any::Any;
use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Why a call failed. The message names the task and the remedy.
///
/// `{:?}` prints the same message as `{}`, since that is what a notebook shows when a cell ends
/// in `?`.
pub struct Error {
    kind: Kind,
    /// `Vec<(usize, R)>`: the results of tasks that had finished. The lock only makes it `Sync`.
    finished: Mutex<Option<Box<dyn Any + Send>>>,
}

enum Kind {
    NJobs {
        asked: i32,
        most: usize,
    },
    UnknownBackend {
        name: String,
        known: Vec<String>,
    },
    Pool {
        n_jobs: usize,
        reason: String,
    },
    Input {
        index: usize,
        message: String,
    },
    Argument {
        index: usize,
        reason: String,
    },
    Function {
        index: usize,
        reason: String,
    },
    Panic {
        index: usize,
        place: String,
        message: String,
    },
    Result {
        index: usize,
        reason: String,
    },
    Died {
        tasks: Range<usize>,
        pid: u32,
        how: String,
    },
    Start {
        how: String,
    },
    Lost {
        index: usize,
    },
    Figure {
        reason: String,
    },
}

impl Error {
    pub(crate) fn n_jobs(asked: i32, most: usize) -> Self {
        Kind::NJobs { asked, most }.into()
    }

    pub(crate) fn unknown_backend(name: &str, known: Vec<String>) -> Self {
        let name = name.to_owned();
        Kind::UnknownBackend { name, known }.into()
    }

    pub(crate) fn pool(n_jobs: usize, reason: impl Display) -> Self {
        let reason = reason.to_string();
        Kind::Pool { n_jobs, reason }.into()
    }

    pub(crate) fn input(index: usize, message: String) -> Self {
        Kind::Input { index, message }.into()
    }

    pub(crate) fn argument(index: usize, reason: impl Display) -> Self {
        let reason = reason.to_string();
        Kind::Argument { index, reason }.into()
    }

    pub(crate) fn function(index: usize, reason: String) -> Self {
        Kind::Function { index, reason }.into()
    }

    pub(crate) fn panic(index: usize, thread: &str, pid: u32, message: &str) -> Self {
        let place = format!("thread {thread} of process {pid}");
        let message = message.to_owned();
        Kind::Panic {
            index,
            place,
            message,
        }
        .into()
    }

    pub(crate) fn result(index: usize, reason: impl Display) -> Self {
        let reason = reason.to_string();
        Kind::Result { index, reason }.into()
    }

    pub(crate) fn died(tasks: Range<usize>, pid: u32, how: String) -> Self {
        Kind::Died { tasks, pid, how }.into()
    }

    pub(crate) fn start(how: String) -> Self {
        Kind::Start { how }.into()
    }

    pub(crate) fn lost(index: usize) -> Self {
        Kind::Lost { index }.into()
    }

    pub(crate) fn figure(reason: impl Display) -> Self {
        let reason = reason.to_string();
        Kind::Figure { reason }.into()
    }

    pub(crate) fn with_finished<R: Send + 'static>(self, finished: Vec<(usize, R)>) -> Self {
        Error {
            finished: Mutex::new(Some(Box::new(finished))),
            ..self
        }
    }

    /// The index of the task that the error is about, from 0 in the order of the list; the first of
    /// them where it is about several that travelled together.
    pub fn task_index(&self) -> Option<usize> {
        match self.kind {
            Kind::Input { index, .. }
            | Kind::Argument { index, .. }
            | Kind::Function { index, .. }
            | Kind::Panic { index, .. }
            | Kind::Result { index, .. }
            | Kind::Lost { index } => Some(index),
            Kind::Died { ref tasks, .. } => Some(tasks.start),
            _ => None,
        }
    }

    /// Whether a task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panic { .. })
    }

    /// Whether a worker process ended while it ran a task.
    pub fn is_worker_death(&self) -> bool {
        matches!(self.kind, Kind::Died { .. })
    }

    /// Whether the call was asked for something that makes no sense, so that nothing ran.
    pub fn is_invalid(&self) -> bool {
        matches!(self.kind, Kind::NJobs { .. } | Kind::UnknownBackend { .. })
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
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        match finished.take().map(|results| results.downcast()) {
            Some(Ok(results)) => *results,
            Some(Err(results)) => {
                *finished = Some(results);
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error {
            kind,
            finished: Mutex::new(None),
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NJobs { asked, most } => write!(
                f,
                "n_jobs = {asked} has no meaning: give 1 to {most} for that many workers, \
                 -1 for as many as there are CPUs, -2 for all CPUs but one"
            ),
            Kind::UnknownBackend { name, known } => {
                write!(
                    f,
                    "{name:?} is no backend: the backends are {}",
                    known.join(", ")
                )
            }
            Kind::Pool { n_jobs, reason } => write!(
                f,
                "a pool of {n_jobs} workers could not be started: {reason}. \
                 Ask for fewer workers, or close programs that use many threads, processes or files"
            ),
            Kind::Input { index, message } => write!(
                f,
                "the iterator of tasks panicked when it was asked for task {index}: {message}. \
                 The pool can be used again"
            ),
            Kind::Argument { index, reason } => write!(
                f,
                "the argument of task {index} cannot be sent to another process: {reason}. \
                 The task has not run; send a type that serde can write, or use threads"
            ),
            Kind::Function { index, reason } => {
                write!(
                    f,
                    "the function of task {index} cannot run in another process: {reason}"
                )
            }
            Kind::Panic {
                index,
                place,
                message,
            } => write!(
                f,
                "task {index} panicked in {place}: {message}. \
                 Tasks that had not started were dropped; the pool can be used again"
            ),
            Kind::Result { index, reason } => write!(
                f,
                "the result of task {index} did not come home: {reason}. \
                 Return a type that serde reads as it writes, or use threads"
            ),
            Kind::Died { tasks, pid, how } => {
                write!(f, "worker process {pid} {how} while it ran ")?;
                match tasks.len() {
                    1 => write!(f, "task {}", tasks.start)?,
                    // Short tasks travel together, and a dead worker cannot say how far it came.
                    _ => write!(f, "one of tasks {} to {}", tasks.start, tasks.end - 1)?,
                }
                f.write_str(
                    ". Tasks that had not started were dropped; the pool replaces the worker and \
                     can be used again",
                )
            }
            Kind::Start { how } => write!(f, "a worker process could not be started: {how}"),
            Kind::Lost { index } => write!(
                f,
                "the pool broke down before task {index} was answered; make a new Parallel"
            ),
            Kind::Figure { reason } => write!(f, "the figure could not be made: {reason}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// The words of a panic.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(_) => "a panic without a message".to_owned(),
        },
    }
}
