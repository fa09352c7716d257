//! What a backend is: something that takes tasks to workers.

mod sequential;
mod threading;

use std::fmt;
use std::str::FromStr;

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
}

impl Backend {
    const ALL: [Backend; 2] = [Backend::Sequential, Backend::Threading];

    /// Starts the backend's workers.
    pub(crate) fn start(self, n_jobs: usize) -> Result<Box<dyn Pool>, Error> {
        Ok(match self {
            Backend::Sequential => Box::new(sequential::Caller),
            Backend::Threading => Box::new(threading::Threads::start(n_jobs)?),
        })
    }
}

/// The name that joblib gives the backend.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Sequential => "sequential",
            Backend::Threading => "threading",
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

/// A task on its way to a worker. It carries its own way back: running it sends what came out to
/// the call that made it. It never panics.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Workers that have been started; dropping the pool ends them.
///
/// Always used as `Box<dyn Pool>`, so that the code that runs is that of the notebook cell that
/// started the workers, whichever cell calls. In a cell of its own, a copy of this crate would
/// look for the pool's threads in statics that they have never seen.
pub(crate) trait Pool: Send + Sync {
    /// How many tasks can run at the same time.
    fn n_workers(&self) -> usize;

    /// How many tasks may be under way, running or waiting for a worker: enough for each worker to
    /// find its next task waiting.
    fn look_ahead(&self) -> usize {
        2 * self.n_workers()
    }

    /// Hands a task to the workers.
    fn submit(&self, job: Job);
}
