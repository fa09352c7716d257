//! [`TaskRecord`]: who ran a task, when, and what it cost.

use std::sync::Arc;
use std::time::Duration;

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
    /// From the start of the call to the start of the task: for so long a task of a list has waited for
    /// its turn, the start of the pool's workers included. One of an iterator comes into being later.
    pub start: Duration,
    /// Wall time of the task. Where it ran in another process, reading its argument and writing its result
    /// there are in it, and in its CPU time.
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
    /// For how long the thread that ran the task could have executed and no CPU was free. None where the
    /// system does not tell: Linux does (`/proc/thread-self/schedstat`, proc(5)).
    ///
    /// It is read where a task was off the CPU for more than 50 microseconds, and is zero otherwise. Tasks
    /// of less than 20 microseconds share a reading, as they share that of the CPU time.
    pub runnable: Option<Duration>,
    /// For how long the task waited for the lock of [`with_gil`](crate::with_gil). It was blocked for most
    /// of that time, and runnable when the lock had become its own and no CPU was free.
    pub lock_wait: Duration,
    /// Whether the task was not run, since an earlier call had left its result in the file of
    /// [`Parallel::resume`](crate::Parallel::resume): then all times are zero but that of its start, which is
    /// when the result was read.
    pub resumed: bool,
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
            runnable: None,
            lock_wait: Duration::ZERO,
            resumed: false,
        }
    }

    /// For how long the task was blocked: waiting for a lock, a timer, a disk, a network, for all but a
    /// CPU. It is what CPU time and runnable time leave of the wall time. None where the system does not
    /// tell the latter.
    ///
    /// A task is not blocked while threads that it has started, or calls that it has made, compute for
    /// it: their CPU time is the task's.
    pub fn blocked(&self) -> Option<Duration> {
        Some(self.wall.saturating_sub(self.cpu).saturating_sub(self.runnable?))
    }
}
