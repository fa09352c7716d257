//! What a backend implements: a [`Pool`] takes [`Job`]s to workers.

use std::fmt;
use std::time::Duration;

use crate::batch::{self, Completion, Portable};
use crate::error::Error;

/// Workers that have been started: what a backend of your own implements, for
/// [`Parallel::with_pool`](crate::Parallel::with_pool). Dropping it ends the workers.
///
/// A pool only moves jobs to workers. Order, batches, retries, timeouts and measurement are done by
/// the call. This one starts a thread for each job:
///
/// ```
/// use joblab::{Error, Job, Parallel, Pool};
///
/// struct ThreadPerJob;
///
/// impl Pool for ThreadPerJob {
///     fn n_workers(&self) -> usize {
///         2
///     }
///
///     fn submit(&self, job: Job) -> Result<(), Error> {
///         std::thread::spawn(move || job.run());
///         Ok(())
///     }
///
///     // A job that is handed over runs at once.
///     fn look_ahead(&self) -> usize {
///         self.n_workers()
///     }
/// }
///
/// let run = Parallel::with_pool(ThreadPerJob).map(|n: u64| n + 1, 0..100)?;
/// assert_eq!(run.results[99], 100);
/// # Ok::<(), Error>(())
/// ```
///
/// With the crate's feature `conformance` there is a function `conformance::check`, which a test of
/// yours can call to see whether the pool keeps all promises. `examples/own_pool.rs` is a pool of
/// threads that does.
// Always used as `Box<dyn Pool>`, so that the code that runs is that of the notebook cell that
// started the workers, whichever cell calls. In a cell of its own, a copy of this crate would look
// for the pool's threads in statics that they have never seen.
pub trait Pool: Send + Sync {
    /// How many tasks can run at the same time.
    fn n_workers(&self) -> usize;

    /// Hands a batch of tasks to the workers. One that is dropped without being run is an error of
    /// its call.
    ///
    /// # Errors
    /// Where it cannot be handed over; then no task of it has run or will.
    fn submit(&self, job: Job) -> Result<(), Error>;

    /// How many batches may be under way, running or waiting for a worker: enough for each worker
    /// to find its next one waiting.
    fn look_ahead(&self) -> usize {
        2 * self.n_workers()
    }

    /// How long a batch of short tasks should take: so long that what it costs to carry one is
    /// small against it. None where tasks go one by one.
    fn batch_duration(&self) -> Option<Duration> {
        None
    }
}

/// A batch of tasks on its way to a worker.
pub struct Job {
    pub(crate) work: Box<dyn Portable>,
    pub(crate) completion: Completion,
}

impl Job {
    /// Runs the tasks in this thread and reports to the call that made them. Never panics.
    pub fn run(self) {
        batch::run(self.work, self.completion);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({:?})", self.completion.places())
    }
}

/// A pool of this crate's: what the calls ask of one beside what an outsider can implement.
pub(crate) trait Workers: Pool {
    /// Stops tasks whose call does not want them any more. False where running tasks cannot be
    /// stopped, so that the call has to wait for them.
    fn stop_unwanted(&self) -> bool {
        false
    }

    /// Whether this process is a fork of the one that started the workers: they are not there for it.
    fn is_forked(&self) -> bool {
        false
    }

    /// Whether tasks run in this process. A worker elsewhere may die, and take tasks along.
    fn shares_memory(&self) -> bool {
        true
    }
}

/// A pool that somebody else has written, whose workers share our memory.
pub(crate) struct OwnPool(pub(crate) Box<dyn Pool>);

impl Pool for OwnPool {
    fn n_workers(&self) -> usize {
        self.0.n_workers()
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        self.0.submit(job)
    }

    fn look_ahead(&self) -> usize {
        self.0.look_ahead()
    }

    fn batch_duration(&self) -> Option<Duration> {
        self.0.batch_duration()
    }
}

impl Workers for OwnPool {}

/// A pool whose workers can run what borrows from the caller.
pub(crate) trait SharedMemory: Workers {
    /// Calls `call` with a way to spawn work, and returns when all that was spawned has ended.
    fn scope<'scope>(&self, call: InScope<'_, 'scope>);

    /// The same pool, seen as one of any kind.
    fn as_workers(&self) -> &dyn Workers;
}

pub(crate) type InScope<'c, 'scope> = Box<dyn FnOnce(&dyn Spawn<'scope>) + 'c>;

/// A way to have work done by a pool's workers.
pub(crate) trait Spawn<'scope> {
    fn spawn(&self, work: Box<dyn FnOnce() + Send + 'scope>);
}
