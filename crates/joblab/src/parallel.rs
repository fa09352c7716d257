//! [`Parallel`]: how many workers, of which kind, and the calls that use them.

use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::backend::sequential::Caller;
use crate::backend::{Backend, Pool, SharedMemory};
use crate::cancel::CancelToken;
use crate::dispatch::{self, Call, CallOf, Calls, Options, Ordered, Source, Unordered};
use crate::error::Error;
use crate::function::{Fallible, Function};
use crate::nesting::{MAX_DEPTH, Nesting};
use crate::progress::Progress;
use crate::run::Run;
use crate::sharedmem::SharedMem;
use crate::state::WithState;
use crate::task::{Data, Task};

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
///
/// | to get | call |
/// | --- | --- |
/// | all results, or the first failure | [`run`](Self::run), [`map`](Self::map) |
/// | the same, where tasks return errors of their own | [`try_map`](Self::try_map) |
/// | each task's own outcome, as soon as may be | [`iter`](Self::iter), [`iter_unordered`](Self::iter_unordered) |
/// | closures that borrow | [`sharedmem`](Self::sharedmem) |
/// | something that each worker makes once | [`with_state`](Self::with_state) |
///
/// Inside of a task, `n_jobs` below zero counts from the CPUs that are the task's share. Calls that
/// are nested more than two deep run in the thread that makes them, and more than ten deep they are
/// an error.
pub struct Parallel {
    n_jobs: i32,
    backend: Backend,
    scheduler: Option<String>,
    options: Options,
    pool: OnceLock<Box<dyn Pool>>,
    is_own_pool: bool,
}

impl Parallel {
    /// Asks for `n_jobs` workers, by joblib's rules: -1 is as many as there are CPUs, -2 all CPUs
    /// but one, and so on, down to one. 0 is an error when a call is made.
    pub fn new(n_jobs: i32) -> Self {
        Parallel {
            n_jobs,
            backend: Backend::default(),
            scheduler: None,
            options: Options::default(),
            pool: OnceLock::new(),
            is_own_pool: false,
        }
    }

    /// Uses a pool of your own: see [`Pool`].
    pub fn with_pool(pool: impl Pool + 'static) -> Self {
        Parallel {
            n_jobs: pool.n_workers().try_into().unwrap_or(i32::MAX),
            pool: OnceLock::from(Box::new(pool) as Box<dyn Pool>),
            is_own_pool: true,
            ..Parallel::new(1)
        }
    }

    /// Chooses where tasks run. Without this they run on threads.
    ///
    /// A pool that was already at work ends here, and the next call starts the chosen one.
    pub fn backend(self, backend: Backend) -> Self {
        Parallel { backend, pool: OnceLock::new(), is_own_pool: false, ..self }
    }

    /// Names the scheduler that [`Backend::Dask`] connects to, as `tcp://127.0.0.1:8786`. Without this
    /// it is that of Dask's own configuration (`DASK_SCHEDULER_ADDRESS`), or a cluster that is
    /// started here.
    ///
    /// Tasks use up to `n_jobs` of the cluster's threads, or all of them where `n_jobs` is below zero,
    /// those of workers that join later included. Where there are none yet, tasks wait for them.
    pub fn scheduler(self, address: impl Into<String>) -> Self {
        Parallel {
            scheduler: Some(address.into()),
            pool: OnceLock::new(),
            is_own_pool: false,
            ..self
        }
    }

    /// Has so many tasks travel to a worker together. Without this the calls choose, by what the
    /// last tasks took: one, where they take long.
    pub fn batch_size(mut self, tasks: usize) -> Self {
        self.options.batch_size = Some(tasks);
        self
    }

    /// Lets at most so many tasks be pulled from their iterator and not be finished, at any time;
    /// `usize::MAX` for all of them. Without this it is two batches for each worker, which is
    /// `2 * n_jobs` tasks where they take long.
    pub fn pre_dispatch(mut self, tasks: usize) -> Self {
        self.options.pre_dispatch = Some(tasks);
        self
    }

    /// Runs a task that panicked, or whose worker died, up to so many more times. Its argument is
    /// written down before it runs, to be there then.
    pub fn retries(mut self, attempts: u32) -> Self {
        self.options.retries = attempts;
        self
    }

    /// Limits how long each task may take, from its start in the worker. A late worker process is
    /// stopped and replaced. A thread cannot be stopped: the task fails when it ends.
    ///
    /// With this, tasks travel to worker processes one by one.
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.options.task_timeout = Some(limit);
        self
    }

    /// Limits how long a call may take as a whole. Threads cannot be stopped: the call then waits
    /// for the tasks that run, and starts no others.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Limits how long a call may wait without any task ending, as [`timeout`](Self::timeout) does.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.options.stall_timeout = Some(limit);
        self
    }

    /// Has calls stop when the token is cancelled.
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.options.cancel_token = Some(token.clone());
        self
    }

    /// Prints joblib's progress lines: more of them up to 10, one for each batch above, to standard
    /// error below 50 and to standard output from there on. In a notebook, at most one a second,
    /// and a last one.
    pub fn verbose(mut self, verbose: u32) -> Self {
        self.options.verbose = verbose;
        self
    }

    /// Calls `tell` in the calling thread whenever a batch has ended.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.options.on_progress = Some(Arc::new(tell));
        self
    }

    /// Keeps the options and shares memory with its workers, so that closures may capture and borrow:
    /// joblib's `require="sharedmem"`.
    pub fn sharedmem(self) -> SharedMem {
        SharedMem::new(self)
    }

    /// Has each worker make a state with `make(&context)` before its first task, to be kept for all
    /// its tasks: a loaded model, a connection, a table that is sent once to a worker and not once
    /// with each task.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel};
    /// let words = vec!["thread".to_owned(), "process".to_owned()];
    /// let parallel = Parallel::new(2).with_state(|words: &Vec<String>| words.clone(), words);
    /// let run = parallel.map(|n: usize, words| words[n % words.len()].len(), 0..4)?;
    /// assert_eq!(run.results, [6, 7, 6, 7]);
    /// # Ok::<(), joblab::Error>(())
    /// ```
    pub fn with_state<C, S>(self, make: fn(&C) -> S, context: C) -> WithState<C, S>
    where
        C: Data + Sync,
        S: Send + 'static,
    {
        WithState::new(self, make, context)
    }

    /// How many workers `n_jobs` comes to here, after joblib's `effective_n_jobs`.
    ///
    /// # Errors
    /// Where `n_jobs` is 0 or above 4096.
    pub fn effective_n_jobs(&self) -> Result<usize, Error> {
        self.n_jobs_at(&Nesting::here())
    }

    fn n_jobs_at(&self, nesting: &Nesting) -> Result<usize, Error> {
        let magnitude = self.n_jobs.unsigned_abs() as usize;
        match self.n_jobs {
            0 => Err(Error::n_jobs(self.n_jobs, MAX_WORKERS)),
            1.. if magnitude > MAX_WORKERS => Err(Error::n_jobs(self.n_jobs, MAX_WORKERS)),
            _ if self.backend == Backend::Sequential => Ok(1),
            1.. => Ok(magnitude),
            // How many a cluster has changes as its workers come and go.
            _ if self.is_elsewhere() => Ok(MAX_WORKERS),
            // joblib/_parallel_backends.py: max(cpu_count() + 1 + n_jobs, 1)
            _ => Ok((nesting.cpus() + 1).saturating_sub(magnitude).max(1)),
        }
    }

    /// Runs a list of [`delayed`](crate::delayed) calls and gives back their results in the order of
    /// the list.
    ///
    /// The list may be an iterator; tasks are pulled from it as workers get free.
    ///
    /// # Errors
    /// Where an option makes no sense, where the workers cannot be started, and the first failure of
    /// a task, with its index: then those that run are stopped, or, on threads, waited for, and no
    /// others start. The error has the results of those that had finished; the pool can be used
    /// again.
    pub fn run<I: IntoIterator<Item: Task>>(&self, tasks: I) -> Result<Run<Output<I>>, Error> {
        dispatch::run(self.call(calls(tasks), false)?, |_, result| Ok(result))
    }

    /// Runs `f` on every input: [`run`](Self::run) for a list of calls of one function.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn map<A: Data, R: Data>(
        &self,
        f: fn(A) -> R,
        inputs: impl IntoIterator<Item = A>,
    ) -> Result<Run<R>, Error> {
        let tasks = inputs.into_iter().map(|input| (f, input));
        dispatch::run(self.call(tasks, false)?, |_, result| Ok(result))
    }

    /// Runs `f` on every input, and stops at the first that returns an `Err`.
    ///
    /// # Errors
    /// As [`run`](Self::run), and what a task returned: [`Error::take_cause`] gives it back.
    ///
    /// ```
    /// # use joblab::Parallel;
    /// let parse = |text: String| text.parse::<u64>().map_err(|error| error.to_string());
    /// let inputs = || ["1", "two", "3"].map(str::to_owned);
    /// let parallel = Parallel::new(2);
    /// let error = parallel.try_map(parse, inputs()).unwrap_err();
    /// assert_eq!(error.task_index(), Some(1));
    /// assert_eq!(error.take_cause::<String>().unwrap(), "invalid digit found in string");
    /// // A plain `map` gives every task's own outcome.
    /// assert_eq!(parallel.map(parse, inputs())?.results[2], Ok(3));
    /// # Ok::<(), joblab::Error>(())
    /// ```
    pub fn try_map<A, T, E>(
        &self,
        f: fn(A) -> Result<T, E>,
        inputs: impl IntoIterator<Item = A>,
    ) -> Result<Run<T>, Error>
    where
        A: Data,
        T: Data,
        E: Data + Debug,
    {
        let tasks = inputs.into_iter().map(|input| (Fallible(f), input));
        let judge = |index, result: Result<T, E>| result.map_err(|e| Error::failure(index, e));
        dispatch::run(self.call(tasks, false)?, judge)
    }

    /// Runs tasks as the iterator is asked for their results, which come in the order of the list. A
    /// task that fails is an error in its place, and the others go on.
    ///
    /// `collect::<Result<Vec<_>, _>>()` stops at the first failure. What is done ahead of the
    /// consumer is bounded by [`pre_dispatch`](Self::pre_dispatch); dropping the iterator cancels what
    /// has not started.
    ///
    /// ```
    /// # use joblab::{Parallel, delayed};
    /// let parallel = Parallel::new(2);
    /// let squares = (1..).map(|n: u64| delayed(|n| n * n, n));
    /// let first = parallel.iter(squares)?.find(|square| square.as_ref().is_ok_and(|s| *s > 50));
    /// assert_eq!(first.unwrap()?, 64);
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where an option makes no sense or the workers cannot be started.
    pub fn iter<I: IntoIterator<Item: Task>>(
        &self,
        tasks: I,
    ) -> Result<impl Iterator<Item = Result<Output<I>, Error>> + use<'_, I>, Error> {
        self.call(calls(tasks), true).map(Ordered::new)
    }

    /// Like [`iter`](Self::iter), with results as they become ready, each with its task's index.
    ///
    /// # Errors
    /// As [`iter`](Self::iter).
    pub fn iter_unordered<I: IntoIterator<Item: Task>>(
        &self,
        tasks: I,
    ) -> Result<impl Iterator<Item = Result<(usize, Output<I>), Error>> + use<'_, I>, Error> {
        self.call(calls(tasks), true).map(Unordered::new)
    }

    pub(crate) fn call<I, F, A, R>(
        &self,
        tasks: I,
        keep_going: bool,
    ) -> Result<CallOf<'_, I::IntoIter, F, A, R>, Error>
    where
        I: IntoIterator<Item = (F, A)>,
        F: Function<A, R>,
        A: Data,
        R: Data,
    {
        let (pool, nesting) = self.enter()?;
        let keeps = self.options.retries > 0 || keep_going && !pool.shares_memory();
        let source = Calls::new(pool, tasks.into_iter(), keeps);
        Ok(self.call_of(source, pool, nesting, keep_going))
    }

    pub(crate) fn call_of<'p, S: Source<Output: 'static>>(
        &'p self,
        source: S,
        pool: &'p dyn Pool,
        nesting: Nesting,
        keep_going: bool,
    ) -> Call<'p, S> {
        Call::new(source, pool, self.backend_name(), nesting, &self.options, keep_going)
    }

    /// Whether the workers are those of a cluster that others have started.
    fn is_elsewhere(&self) -> bool {
        self.backend == Backend::Dask && self.scheduler.is_some()
    }

    fn backend_name(&self) -> &'static str {
        if self.is_own_pool { "own" } else { self.backend.name() }
    }

    /// The pool, started by the first caller, and where its tasks are.
    fn enter(&self) -> Result<(&dyn Pool, Nesting), Error> {
        let here = self.check()?;
        let address = std::ptr::from_ref(self) as usize;
        if here.needs_no_pool(address) {
            return Ok((&Caller, here.inside(address, 1)));
        }
        let start = || {
            let n_jobs = self.n_jobs_at(&here)?;
            self.backend.start(n_jobs, self.scheduler.as_deref())
        };
        let pool = start_once(&self.pool, start)?;
        match pool.n_workers() {
            0 => Err(Error::no_workers()),
            n_workers => Ok((pool, here.inside(address, n_workers))),
        }
    }

    /// The same for a pool that shares memory.
    pub(crate) fn enter_shared<'p>(
        &'p self,
        pool: &'p OnceLock<Box<dyn SharedMemory>>,
    ) -> Result<(&'p dyn SharedMemory, Nesting), Error> {
        let here = self.check()?;
        if self.options.retries > 0 {
            return Err(Error::shared_retries());
        }
        let address = std::ptr::from_ref(self) as usize;
        if here.needs_no_pool(address) {
            return Ok((&Caller, here.inside(address, 1)));
        }
        let start = || self.backend.start_shared(self.n_jobs_at(&here)?);
        let pool = start_once(pool, start)?;
        Ok((pool, here.inside(address, pool.n_workers())))
    }

    /// Whether the options make sense here, and where that is.
    fn check(&self) -> Result<Nesting, Error> {
        self.options.check()?;
        let here = Nesting::here();
        if here.depth >= MAX_DEPTH {
            return Err(Error::nested(here.depth as usize));
        }
        Ok(here)
    }
}

/// Where two threads make the first call at once, one of the two pools ends here.
fn start_once<P: ?Sized>(
    pool: &OnceLock<Box<P>>,
    start: impl FnOnce() -> Result<Box<P>, Error>,
) -> Result<&P, Error> {
    if pool.get().is_none() {
        let _ = pool.set(start()?);
    }
    Ok(pool.get().expect("set above"))
}

/// Calls of tasks, as pairs of function and argument.
fn calls<I: IntoIterator<Item: Task>>(tasks: I) -> impl Iterator<Item = Pair<I>> + use<I> {
    tasks.into_iter().map(|task| {
        let delayed = task.into_delayed();
        (delayed.f, delayed.arg)
    })
}

type Pair<I> = (fn(Arg<I>) -> Output<I>, Arg<I>);
type Arg<I> = <<I as IntoIterator>::Item as Task>::Arg;
type Output<I> = <<I as IntoIterator>::Item as Task>::Output;

impl fmt::Debug for Parallel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parallel(n_jobs={}, backend={}{})",
            self.n_jobs,
            self.backend_name(),
            self.options
        )
    }
}
