//! [`Backend`]: which kinds of workers there are, how many of them `n_jobs` means, and how they start.

#[cfg(unix)]
mod dask;
#[cfg(unix)]
mod processes;
#[cfg(unix)]
mod remote;
mod sequential;
mod threading;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::notebook::backtraces;
#[cfg(unix)]
use crate::os::HAS_DASK;
use crate::pool::{OwnPool, Pool, SharedMemory, Workers};

/// The most workers that a pool can have.
///
/// A thread takes four of the 65,530 memory mappings that Linux gives a process
/// (`vm.max_map_count`, proc(5)), and a process that runs out of them while it starts threads
/// aborts: the limit stays well below.
const MAX_WORKERS: usize = 4096;

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
    /// that crashes takes only its worker along. Arguments and results are copied. Linux and macOS;
    /// for the latter it is built and linked by every test run, and not yet run on a Mac.
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
    /// It needs a Python (3.10 or later) with the package `distributed` (2024.1 or later):
    /// `$JOBLAB_PYTHON`, or else the first of that of `$VIRTUAL_ENV`, that of `$CONDA_PREFIX`, and
    /// `python3`. The cluster's Pythons may be others, as old as that at most, which is checked before
    /// anything is put there. Dask's configuration, its limits and its security settings apply. What that
    /// has under `joblab` goes to each `Client.map`: `resources`, `workers`, `priority`, `retries`, as with
    /// `DASK_JOBLAB__RESOURCES="{'GPU': 1}"` in the environment. It is read when a pool starts, with its
    /// first call, and holds for all calls of that pool.
    ///
    /// What the scheduler and the workers are given goes when the pool does, or this program, however it
    /// ends. Tasks go to other workers where one cannot run the program. A task that makes such a call
    /// itself leaves the Dask worker's thread to others while it waits.
    ///
    /// This program, or in a notebook the library of the cell, travels to each worker as bytes, so that
    /// no files need be shared; what only debuggers read of it stays here. Workers must have its
    /// CPU architecture, and a C library that is not older. A task runs in a process beside the Dask
    /// worker; one that crashes takes only that along. What tasks print is in the workers' logs.
    ///
    /// A [`SharedSlice`](crate::SharedSlice) travels to a worker once, when a task there needs it, and
    /// is gone from there at the first call after its last owner here is gone. Where the workers that
    /// have it are lost, it is sent again. (Dask's active memory
    /// manager may drop copies that nobody used for two seconds; the next task has one sent again.)
    /// Tasks can read it, but not write to a [`Part`](crate::Part) of it or return it: that would need
    /// one memory.
    Dask,
}

impl Backend {
    const ALL: [Backend; 4] =
        [Backend::Sequential, Backend::Threading, Backend::Multiprocessing, Backend::Dask];

    fn name(self) -> &'static str {
        match self {
            Backend::Sequential => "sequential",
            Backend::Threading => "threading",
            Backend::Multiprocessing => "multiprocessing",
            Backend::Dask => "dask",
        }
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

/// Which workers were chosen.
pub(crate) enum Choice {
    /// Those of a backend.
    Backend(Backend),
    /// Those of the Dask cluster with this scheduler.
    DaskAt(String),
    /// Those of a pool that somebody else has written.
    Own { n_workers: usize },
}

impl Choice {
    /// The choice of a backend by one who has chosen before.
    pub(crate) fn then(self, backend: Backend) -> Choice {
        match self {
            Choice::DaskAt(scheduler) if backend == Backend::Dask => Choice::DaskAt(scheduler),
            _ => Choice::Backend(backend),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Choice::Backend(backend) => backend.name(),
            Choice::DaskAt(_) => Backend::Dask.name(),
            Choice::Own { .. } => "own",
        }
    }

    /// How many workers `n_jobs` comes to, where `cpus` tells how many CPUs a call may use: it takes as
    /// long to find out as to start a thread.
    ///
    /// # Errors
    /// Where `n_jobs` has no meaning.
    pub(crate) fn effective_n_jobs(
        &self,
        n_jobs: i32,
        cpus: impl FnOnce() -> usize,
    ) -> Result<usize, Error> {
        let magnitude = n_jobs.unsigned_abs() as usize;
        match (self, n_jobs) {
            (Choice::Own { n_workers }, _) => Ok(*n_workers),
            (Choice::DaskAt(address), _) if address.is_empty() => Err(Error::no_scheduler()),
            (_, 0) => Err(Error::n_jobs(n_jobs, MAX_WORKERS)),
            (_, 1..) if magnitude > MAX_WORKERS => Err(Error::n_jobs(n_jobs, MAX_WORKERS)),
            (Choice::Backend(Backend::Sequential), _) => Ok(1),
            (_, 1..) => Ok(magnitude),
            // How many a cluster has changes as its workers come and go.
            (Choice::DaskAt(_), _) => Ok(MAX_WORKERS),
            // joblib/_parallel_backends.py: max(cpu_count() + 1 + n_jobs, 1)
            _ => Ok((cpus() + 1).saturating_sub(magnitude).max(1)),
        }
    }

    /// Starts the workers, or gets ready to start them: all that a cluster has, where `is_all`. What
    /// may take long has a limit.
    pub(crate) fn start(
        &self,
        n_jobs: usize,
        is_all: bool,
        limit: Option<Duration>,
    ) -> Result<Box<dyn Workers>, Error> {
        // Whether there is a cluster is found out by Dask, which has a configuration.
        let of_cluster = if is_all { MAX_WORKERS } else { n_jobs };
        backtraces::turn_off();
        match self {
            Choice::Backend(Backend::Sequential) => Ok(Box::new(sequential::Caller)),
            Choice::Backend(Backend::Threading) => Ok(Box::new(threading::Threads::start(n_jobs)?)),
            Choice::Backend(Backend::Multiprocessing) => start_processes(n_jobs),
            Choice::Backend(Backend::Dask) => start_dask(None, n_jobs, of_cluster, limit),
            Choice::DaskAt(scheduler) => start_dask(Some(scheduler), n_jobs, of_cluster, limit),
            Choice::Own { .. } => Err(Error::no_workers()),
        }
    }

    /// The same for workers that share the caller's memory: where the backend's do not, threads,
    /// as joblib's `require="sharedmem"` has it.
    pub(crate) fn start_shared(&self, n_jobs: usize) -> Result<Box<dyn SharedMemory>, Error> {
        backtraces::turn_off();
        match self {
            Choice::Backend(Backend::Sequential) => Ok(Box::new(sequential::Caller)),
            Choice::Own { .. } => Err(Error::own_sharedmem()),
            _ => Ok(Box::new(threading::Threads::start(n_jobs)?)),
        }
    }
}

/// The caller as its own only worker.
pub(crate) static CALLER: sequential::Caller = sequential::Caller;

/// A pool of one's own as the calls use it.
pub(crate) fn own(pool: impl Pool + 'static) -> Box<dyn Workers> {
    Box::new(OwnPool(Box::new(pool)))
}

#[cfg(unix)]
fn start_processes(n_jobs: usize) -> Result<Box<dyn Workers>, Error> {
    Ok(Box::new(processes::Processes::start(n_jobs)?))
}

#[cfg(unix)]
fn start_dask(
    scheduler: Option<&str>,
    n_workers: usize,
    n_jobs: usize,
    limit: Option<Duration>,
) -> Result<Box<dyn Workers>, Error> {
    if !HAS_DASK {
        return Err(Error::other_system(Backend::Dask, Backend::Multiprocessing));
    }
    let wanted = dask::Wanted { scheduler, n_workers, n_jobs, limit };
    Ok(Box::new(dask::Cluster::start(&wanted)?))
}

#[cfg(not(unix))]
fn start_processes(_: usize) -> Result<Box<dyn Workers>, Error> {
    Err(Error::other_system(Backend::Multiprocessing, Backend::Threading))
}

#[cfg(not(unix))]
fn start_dask(
    _: Option<&str>,
    _: usize,
    _: usize,
    _: Option<Duration>,
) -> Result<Box<dyn Workers>, Error> {
    Err(Error::other_system(Backend::Dask, Backend::Threading))
}
