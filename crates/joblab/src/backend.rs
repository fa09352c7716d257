//! What a backend is: something that takes tasks to workers.

#[cfg(target_os = "linux")]
pub(crate) mod remote;
pub(crate) mod sequential;
mod threading;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::parts::WriteParts;
use crate::error::Error;
use crate::function::PackedState;
use crate::travel::{Kept, Taken};
use crate::worker::MAIN_THREAD;

/// Where the tasks of a call run.
///
/// ```
/// # use joblab::Backend;
/// let backend: Backend = "threading".parse()?;
/// assert_eq!(backend, Backend::Threading);
/// # Ok::<(), joblab::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// One task after the other in the calling thread: no overhead, no parallelism. The baseline.
    Sequential,
    /// A pool of `n_jobs` threads in this process: no copies, side by side as long as the tasks
    /// do not wait for the same lock.
    #[default]
    Threading,
    /// A pool of up to `n_jobs` processes: each has its own memory and its own locks, and a task
    /// that crashes takes only its worker along. Arguments and results are copied. Linux only.
    ///
    /// Workers are the running program, started again. In a notebook they load the libraries of
    /// the cells, so that functions typed in any cell can run there. In a program of your own they
    /// never reach `main`: this crate's start-up code, which the linker puts in front of it, makes
    /// them workers.
    Multiprocessing,
    /// The workers of a [Dask](https://docs.dask.org) cluster, which may be other machines: that of
    /// [`Parallel::scheduler`](crate::Parallel::scheduler), or one of `n_jobs` workers that is started
    /// here and ends with the pool. Arguments and results are copied. Linux only.
    ///
    /// It needs a Python with the package `distributed`: the first of `$JOBLAB_PYTHON`, that of
    /// `$VIRTUAL_ENV`, that of `$CONDA_PREFIX`, and `python3`. Dask's configuration and its security
    /// settings apply.
    ///
    /// This program, or in a notebook the library of the cell, travels to each worker as bytes, so that
    /// no files need be shared; what only debuggers read of it stays here. Workers must have its
    /// CPU architecture, and a C library that is not older. A task runs in a process beside the Dask
    /// worker; one that crashes takes only that along. What tasks print is in the workers' logs.
    ///
    /// A [`SharedSlice`](crate::SharedSlice) travels to a worker once, when a task there needs it, and
    /// is gone from there at the first call after its last owner here is gone. (Dask's active memory
    /// manager may drop copies that nobody used for two seconds; the next task has one sent again.)
    /// Tasks can read it, but not write to a [`Part`](crate::Part) of it or return it: that would need
    /// one memory.
    Dask,
}

impl Backend {
    const ALL: [Backend; 4] =
        [Backend::Sequential, Backend::Threading, Backend::Multiprocessing, Backend::Dask];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sequential => "sequential",
            Backend::Threading => "threading",
            Backend::Multiprocessing => "multiprocessing",
            Backend::Dask => "dask",
        }
    }

    /// Starts the backend's workers, or gets ready to start them.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
    pub(crate) fn start(
        self,
        n_jobs: usize,
        scheduler: Option<&str>,
    ) -> Result<Box<dyn Pool>, Error> {
        match self {
            Backend::Sequential => Ok(Box::new(sequential::Caller)),
            Backend::Threading => Ok(Box::new(threading::Threads::start(n_jobs)?)),
            #[cfg(target_os = "linux")]
            Backend::Multiprocessing => remote::processes(n_jobs),
            #[cfg(target_os = "linux")]
            Backend::Dask => remote::dask(n_jobs, scheduler),
            #[cfg(not(target_os = "linux"))]
            Backend::Multiprocessing | Backend::Dask => {
                Err(Error::pool(n_jobs, "workers outside this process need Linux"))
            }
        }
    }

    /// The same for workers that share the caller's memory: where the backend's do not, threads,
    /// as joblib's `require="sharedmem"` has it.
    pub(crate) fn start_shared(self, n_jobs: usize) -> Result<Box<dyn SharedMemory>, Error> {
        Ok(match self {
            Backend::Sequential => Box::new(sequential::Caller),
            _ => Box::new(threading::Threads::start(n_jobs)?),
        })
    }
}

/// The name that joblib gives the backend.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes joblib's names; an unknown one is an error that lists them.
impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = || Backend::ALL.iter().map(Backend::to_string);
        match known().position(|candidate| candidate == name) {
            Some(place) => Ok(Backend::ALL[place]),
            None => Err(Error::unknown_backend(name, &known().collect::<Vec<_>>())),
        }
    }
}

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

    /// Stops tasks whose call does not want them any more. False where running tasks cannot be
    /// stopped, so that the call has to wait for them.
    fn stop_unwanted(&self) -> bool {
        false
    }

    /// Whether tasks run in this process. A worker elsewhere may die, and take tasks along.
    fn shares_memory(&self) -> bool {
        true
    }
}

/// A pool whose workers can run what borrows from the caller.
pub(crate) trait SharedMemory: Pool {
    /// Calls `call` with a way to spawn work, and returns when all that was spawned has ended.
    fn scope<'scope>(&self, call: InScope<'_, 'scope>);
}

pub(crate) type InScope<'c, 'scope> = Box<dyn FnOnce(&dyn Spawn<'scope>) + 'c>;

/// A way to have work done by a pool's workers.
pub(crate) trait Spawn<'scope> {
    fn spawn(&self, work: Box<dyn FnOnce() + Send + 'scope>);
}

/// A batch of tasks on its way to a worker.
pub struct Job(pub(crate) Box<dyn Work>);

impl Job {
    /// Runs the tasks in this thread and reports to the call that made them. Never panics.
    pub fn run(self) {
        self.0.run();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// What a [`Job`] holds.
pub(crate) trait Work: Send {
    fn run(self: Box<Self>);

    /// Writes the tasks down for a worker in another process: appends them to `message`. Where the pool
    /// `streams`, a large argument may be left to be written in parts.
    ///
    /// # Errors
    /// Where serde refuses an argument.
    fn pack(self: Box<Self>, message: Vec<u8>, streams: bool) -> Result<Packed, Error>;
}

/// A batch of tasks as plain bytes and addresses of this process.
pub(crate) struct Packed {
    pub(crate) message: Vec<u8>,
    pub(crate) function: usize,
    pub(crate) trampoline: usize,
    pub(crate) state: Option<PackedState>,
    /// Shared memory that is in the message, to be kept until that is answered.
    pub(crate) kept: Kept,
    pub(crate) answer: Box<dyn Answer>,
    /// Writes what follows the message in parts.
    pub(crate) parts: Option<WriteParts>,
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
    pub(crate) taken: Taken,
}

/// The way back from a packed batch to the call that made it.
pub(crate) trait Answer: Send {
    /// The tasks' places in their list.
    fn tasks(&self) -> Range<usize>;

    /// Whether the call still wants the tasks to run.
    fn is_wanted(&self) -> bool;

    /// How long each task may run.
    fn time_limit(&self) -> Option<Duration>;

    /// Reports a worker's message.
    fn done(self: Box<Self>, reply: Reply);

    /// Reports a failure of the whole batch.
    fn failed(self: Box<Self>, error: Error);
}
