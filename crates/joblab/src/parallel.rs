//! [`Parallel`]: how many workers, of which kind, and the calls that use them.

use std::fmt;
use std::sync::OnceLock;

use crate::backend::{Backend, Pool};
use crate::cpus::cpu_count;
use crate::dispatch;
use crate::error::Error;
use crate::run::Run;
use crate::task::{Data, Task, delayed};

/// The most workers that a pool can have.
///
/// A thread takes four of the 65,530 memory mappings that Linux gives a process
/// (`vm.max_map_count`, proc(5)), and a process that runs out of them while it starts threads
/// aborts: the limit stays well below.
const MAX_WORKERS: usize = 4096;

/// A pool of workers and the calls that use it, after joblib's `Parallel`.
///
/// The workers start with the first call and are used by all later ones, from any notebook cell;
/// they end when the value is dropped.
///
/// ```
/// use joblab::{Backend, Parallel};
///
/// let parallel = Parallel::new(2).backend(Backend::Threading);
/// let run = parallel.map(|n: u64| n * n, 0..5)?;
/// assert_eq!(run.results, [0, 1, 4, 9, 16]);
/// println!("{}", run.timing);
/// # Ok::<(), joblab::Error>(())
/// ```
pub struct Parallel {
    n_jobs: i32,
    backend: Backend,
    pool: OnceLock<Box<dyn Pool>>,
}

impl Parallel {
    /// Asks for `n_jobs` workers, by joblib's rules: -1 is as many as there are CPUs, -2 all CPUs
    /// but one, and so on, down to one. 0 is an error when a call is made.
    pub fn new(n_jobs: i32) -> Self {
        Parallel {
            n_jobs,
            backend: Backend::default(),
            pool: OnceLock::new(),
        }
    }

    /// Chooses where tasks run. Without this they run on threads.
    ///
    /// A pool that was already at work ends here, and the next call starts the chosen one.
    pub fn backend(self, backend: Backend) -> Self {
        Parallel {
            backend,
            pool: OnceLock::new(),
            ..self
        }
    }

    /// How many workers `n_jobs` comes to on this machine, after joblib's `effective_n_jobs`.
    ///
    /// # Errors
    /// Where `n_jobs` is 0 or above 4096.
    pub fn effective_n_jobs(&self) -> Result<usize, Error> {
        let magnitude = self.n_jobs.unsigned_abs() as usize;
        match self.n_jobs {
            0 => Err(Error::n_jobs(self.n_jobs, MAX_WORKERS)),
            1.. if magnitude > MAX_WORKERS => Err(Error::n_jobs(self.n_jobs, MAX_WORKERS)),
            _ if self.backend == Backend::Sequential => Ok(1),
            1.. => Ok(magnitude),
            // joblib/_parallel_backends.py: max(cpu_count() + 1 + n_jobs, 1)
            _ => Ok((cpu_count() + 1).saturating_sub(magnitude).max(1)),
        }
    }

    /// Runs a list of [`delayed`] calls and gives back their results in the order of the list.
    ///
    /// The list may be an iterator; tasks are pulled from it as workers get free.
    ///
    /// # Errors
    /// Where `n_jobs` is 0 or above 4096, where the workers cannot be started, and where a task panics, with
    /// the task's index and message. After an error the pool can be used again.
    pub fn run<I>(&self, tasks: I) -> Result<Run<<I::Item as Task>::Output>, Error>
    where
        I: IntoIterator<Item: Task>,
    {
        dispatch::run(self.pool()?, tasks)
    }

    /// Runs `f` on every input: [`run`](Self::run) for a list of calls of one function.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn map<A, R>(
        &self,
        f: fn(A) -> R,
        inputs: impl IntoIterator<Item = A>,
    ) -> Result<Run<R>, Error>
    where
        A: Data,
        R: Data,
    {
        self.run(inputs.into_iter().map(|input| delayed(f, input)))
    }

    /// The pool, started by the first caller.
    fn pool(&self) -> Result<&dyn Pool, Error> {
        if self.pool.get().is_none() {
            let started = self.backend.start(self.effective_n_jobs()?)?;
            // Where two threads make the first call at once, one of the two pools ends here.
            let _ = self.pool.set(started);
        }
        Ok(self.pool.get().expect("set above").as_ref())
    }
}

impl fmt::Debug for Parallel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parallel(n_jobs={}, backend={})",
            self.n_jobs, self.backend
        )
    }
}
