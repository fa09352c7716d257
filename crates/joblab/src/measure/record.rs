//! [`TaskRecord`]: who ran a task, when, and what it cost.

use std::sync::Arc;
use std::time::Duration;

use super::clock::{Moment, TaskTimes};

/// Who ran a task, when, and what it cost. Measured by the worker that ran it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The task's place in the list, from 0.
    pub index: usize,
    /// The process that ran it.
    pub pid: u32,
    /// The name of the thread that ran it.
    pub thread: Arc<str>,
    /// From the start of the call to the start of the task.
    pub start: Duration,
    /// Wall time of the task.
    pub wall: Duration,
    /// Bytes of argument and result that were carried to the worker and back: what a shared slice saves.
    /// 0 where they were moved within this process, and where the task failed.
    pub carried: u64,
    /// CPU time of the task, user and system: of the thread that ran it, and of the tasks of calls of
    /// this crate that it made, wherever those ran.
    ///
    /// In a worker process, which runs one task at a time, it is also that of all other threads of the
    /// process, and of the programs that the task started and waited for. Where threads share a process
    /// the system does not tell whose threads and programs those are, and they count for no task. A
    /// thread in which tasks wait for rayon runs pieces of other tasks meanwhile: they count for the
    /// task that waits.
    pub cpu: Duration,
}

impl TaskRecord {
    /// A record of a task in a thread of this process, at first without times.
    pub fn new(index: usize, thread: impl Into<Arc<str>>) -> Self {
        TaskRecord {
            index,
            pid: std::process::id(),
            thread: thread.into(),
            start: Duration::ZERO,
            wall: Duration::ZERO,
            carried: 0,
            cpu: Duration::ZERO,
        }
    }

    pub(crate) fn of_times(
        index: usize,
        pid: u32,
        thread: Arc<str>,
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
            carried: times.carried,
        }
    }
}
