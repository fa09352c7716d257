//! What a call gives back: the results, and who did what when.

use std::time::Duration;

use crate::timing::{Moment, TaskTimes, Timing};

/// The outcome of a call of [`Parallel::run`](crate::Parallel::run) or
/// [`map`](crate::Parallel::map).
#[derive(Clone, Debug)]
#[must_use]
pub struct Run<R> {
    /// The tasks' results, in the order of the tasks.
    pub results: Vec<R>,
    /// Wall time and CPU time of the whole call.
    pub timing: Timing,
    /// One record for each task, in the order of the tasks.
    pub tasks: Vec<TaskRecord>,
    /// The number of workers in the pool: tasks that could run at the same time.
    pub n_workers: usize,
}

/// What can be drawn as bars of time: a [`Run`], or a [`Timing`] of work that was not spread.
pub trait Measured {
    /// Wall time and CPU time.
    fn timing(&self) -> Timing;

    /// Over how many workers the work was spread, at least 1.
    fn n_workers(&self) -> usize;
}

impl<R> Measured for Run<R> {
    fn timing(&self) -> Timing {
        self.timing
    }

    fn n_workers(&self) -> usize {
        self.n_workers
    }
}

impl Measured for Timing {
    fn timing(&self) -> Timing {
        *self
    }

    fn n_workers(&self) -> usize {
        1
    }
}

impl<M: Measured> Measured for &M {
    fn timing(&self) -> Timing {
        (*self).timing()
    }

    fn n_workers(&self) -> usize {
        (*self).n_workers()
    }
}

/// Who ran a task, when, and what it cost. Measured by the worker that ran it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// The task's place in the list, from 0.
    pub index: usize,
    /// The process that ran it.
    pub pid: u32,
    /// The name of the thread that ran it.
    pub thread: String,
    /// From the start of the call to the start of the task.
    pub start: Duration,
    /// Wall time of the task.
    pub wall: Duration,
    /// CPU time of the task: of the thread that ran it, user and system.
    pub cpu: Duration,
}

impl TaskRecord {
    pub(crate) fn new(
        index: usize,
        pid: u32,
        thread: String,
        times: &TaskTimes,
        origin: Moment,
    ) -> Self {
        TaskRecord {
            index,
            pid,
            thread,
            start: times.start.since(origin),
            wall: times.wall,
            cpu: times.cpu,
        }
    }
}
