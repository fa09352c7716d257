//! The one error type: what happened, to which task, and what to do.

use std::fmt;

/// Why a call failed. The message names the task and the remedy.
///
/// `{:?}` prints the same message as `{}`, since that is what a notebook shows when a cell ends
/// in `?`.
pub struct Error {
    kind: Kind,
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
    Panic {
        index: usize,
        thread: String,
        pid: u32,
        message: String,
    },
    Input {
        index: usize,
        message: String,
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

    pub(crate) fn pool(n_jobs: usize, reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Kind::Pool { n_jobs, reason }.into()
    }

    pub(crate) fn panic(index: usize, thread: &str, pid: u32, message: String) -> Self {
        let thread = thread.to_owned();
        Kind::Panic {
            index,
            thread,
            pid,
            message,
        }
        .into()
    }

    pub(crate) fn input(index: usize, message: String) -> Self {
        Kind::Input { index, message }.into()
    }

    pub(crate) fn figure(reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Kind::Figure { reason }.into()
    }

    /// The index of the task that the error is about, from 0 in the order of the list.
    pub fn task_index(&self) -> Option<usize> {
        match self.kind {
            Kind::Panic { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Whether a task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panic { .. })
    }

    /// Whether the call was asked for something that makes no sense, so that nothing ran.
    pub fn is_invalid(&self) -> bool {
        matches!(self.kind, Kind::NJobs { .. } | Kind::UnknownBackend { .. })
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error { kind }
    }
}

impl fmt::Display for Error {
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
                 Ask for fewer workers, or close programs that use many threads"
            ),
            Kind::Panic {
                index,
                thread,
                pid,
                message,
            } => write!(
                f,
                "task {index} panicked in thread {thread} of process {pid}: {message}. \
                 Tasks that had not started were dropped; the pool can be used again"
            ),
            Kind::Input { index, message } => write!(
                f,
                "the iterator of tasks panicked when it was asked for task {index}: {message}. \
                 The tasks before it have run; the pool can be used again"
            ),
            Kind::Figure { reason } => write!(f, "the figure could not be made: {reason}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
