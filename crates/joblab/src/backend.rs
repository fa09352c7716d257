//! What a backend is: something that takes tasks to workers.

#[cfg(target_os = "linux")]
mod multiprocessing;
mod sequential;
mod threading;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;

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
}

impl Backend {
    const ALL: [Backend; 3] = [
        Backend::Sequential,
        Backend::Threading,
        Backend::Multiprocessing,
    ];

    /// Starts the backend's workers, or gets ready to start them.
    pub(crate) fn start(self, n_jobs: usize) -> Result<Box<dyn Pool>, Error> {
        Ok(match self {
            Backend::Sequential => Box::new(sequential::Caller),
            Backend::Threading => Box::new(threading::Threads::start(n_jobs)?),
            #[cfg(target_os = "linux")]
            Backend::Multiprocessing => Box::new(multiprocessing::Processes::start(n_jobs)?),
            #[cfg(not(target_os = "linux"))]
            Backend::Multiprocessing => {
                return Err(Error::pool(n_jobs, "pools of processes need Linux"));
            }
        })
    }
}

/// The name that joblib gives the backend.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Sequential => "sequential",
            Backend::Threading => "threading",
            Backend::Multiprocessing => "multiprocessing",
        })
    }
}

/// Takes joblib's names; an unknown one is an error that lists them.
impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = || Backend::ALL.iter().map(Backend::to_string);
        match known().position(|candidate| candidate == name) {
            Some(place) => Ok(Backend::ALL[place]),
            None => Err(Error::unknown_backend(name, known().collect())),
        }
    }
}

/// Workers that have been started; dropping the pool ends them.
///
/// Always used as `Box<dyn Pool>`, so that the code that runs is that of the notebook cell that
/// started the workers, whichever cell calls. In a cell of its own, a copy of this crate would
/// look for the pool's threads in statics that they have never seen.
pub(crate) trait Pool: Send + Sync {
    /// How many tasks can run at the same time.
    fn n_workers(&self) -> usize;

    /// How many batches may be under way, running or waiting for a worker: enough for each worker
    /// to find its next one waiting.
    fn look_ahead(&self) -> usize {
        2 * self.n_workers()
    }

    /// How long a batch of short tasks should take: so long that what it costs to carry one is
    /// small against it. None where tasks go one by one.
    fn batch_duration(&self) -> Option<Duration>;

    /// Hands a batch of tasks to the workers.
    ///
    /// # Errors
    /// Where it cannot be handed over; then no task of it has run or will.
    fn submit(&self, job: Box<dyn Job>) -> Result<(), Error>;

    /// Stops tasks whose call does not want them any more. False where running tasks cannot be
    /// stopped, so that the call has to wait for them.
    fn stop_unwanted(&self) -> bool {
        false
    }
}

/// A batch of tasks on its way to a worker.
pub(crate) trait Job: Send {
    /// Runs the tasks in this thread and reports to the call that made them. Never panics.
    fn run(self: Box<Self>);

    /// Writes the tasks down for a worker in another process: appends them to `message`.
    ///
    /// # Errors
    /// Where serde refuses an argument.
    fn pack(self: Box<Self>, message: Vec<u8>) -> Result<Packed, Error>;
}

/// A batch of tasks as plain bytes and addresses of this process.
pub(crate) struct Packed {
    pub(crate) message: Vec<u8>,
    pub(crate) function: usize,
    pub(crate) trampoline: usize,
    pub(crate) answer: Box<dyn Answer>,
}

/// The way back from a packed batch to the call that made it.
pub(crate) trait Answer: Send {
    /// The tasks' places in their list.
    fn tasks(&self) -> Range<usize>;

    /// Whether the call still wants the tasks to run.
    fn is_wanted(&self) -> bool;

    /// Reports the message of the worker `pid`, in which the outcomes begin at `outcomes`.
    fn done(self: Box<Self>, pid: u32, message: Vec<u8>, outcomes: usize);

    /// Reports a failure of the whole batch.
    fn failed(self: Box<Self>, error: Error);
}
