//! [`Parallel`]: how many workers, of which kind, and the calls that use them.

pub(crate) mod longest_first;
mod options;
pub(crate) mod shared_mem;
pub(crate) mod with_state;

use std::any::type_name;
use std::fmt::{self, Debug};
use std::sync::OnceLock;

use crate::backend::{self, Backend, CALLER, Choice};
use crate::batch::{Fallible, Function, MAX_DEPTH, Nesting};
use crate::call::{self, Calls, Options, Ordered, Setup, Unordered};
use crate::error::Error;
use crate::measure::{Moment, Run};
use crate::pool::{Pool, SharedMemory, Workers};
use crate::task::{Data, Task};

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
/// println!("{run}");
/// # Ok::<(), joblab::Error>(())
/// ```
///
/// | to get | call |
/// | --- | --- |
/// | all results, or the first failure | [`run`](Self::run), [`map`](Self::map) |
/// | the same, the dearest task started first | [`map_longest_first`](Self::map_longest_first) |
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
    choice: Choice,
    options: Options,
    workers: OnceLock<Box<dyn Workers>>,
}

impl Parallel {
    /// Asks for `n_jobs` workers, by joblib's rules: -1 is as many as there are CPUs, -2 all CPUs
    /// but one, and so on, down to one. 0 is an error when a call is made.
    pub fn new(n_jobs: i32) -> Self {
        let (choice, options) = (Choice::Backend(Backend::default()), Options::default());
        Parallel { n_jobs, choice, options, workers: OnceLock::new() }
    }

    /// Uses a pool of your own: see [`Pool`].
    pub fn with_pool(pool: impl Pool + 'static) -> Self {
        let n_workers = pool.n_workers();
        Parallel {
            choice: Choice::Own { n_workers },
            workers: OnceLock::from(backend::own(pool)),
            ..Parallel::new(n_workers.try_into().unwrap_or(i32::MAX))
        }
    }

    /// Chooses where tasks run. Without this they run on threads.
    ///
    /// A pool that was already at work ends here, and the next call starts the chosen one.
    pub fn backend(self, backend: Backend) -> Self {
        Parallel { choice: self.choice.then(backend), workers: OnceLock::new(), ..self }
    }

    /// Uses the Dask cluster of the scheduler at this address, as `tcp://127.0.0.1:8786`, or of the
    /// scheduler that wrote this file (`--scheduler-file`). An empty one is an error. Without this
    /// [`Backend::Dask`] uses that of Dask's own configuration (`DASK_SCHEDULER_ADDRESS`), or a cluster
    /// that it starts here.
    ///
    /// Tasks use up to `n_jobs` of the cluster's threads, or all of them where `n_jobs` is below zero,
    /// those of workers that join later included. Where there are none yet, tasks wait for them.
    pub fn scheduler(self, address: impl Into<String>) -> Self {
        Parallel { choice: Choice::DaskAt(address.into()), workers: OnceLock::new(), ..self }
    }

    /// How many workers `n_jobs` comes to here, after joblib's `effective_n_jobs`.
    ///
    /// # Errors
    /// Where `n_jobs` is 0 or above 4096.
    pub fn effective_n_jobs(&self) -> Result<usize, Error> {
        self.n_jobs_at(&Nesting::here())
    }

    fn n_jobs_at(&self, nesting: &Nesting) -> Result<usize, Error> {
        self.choice.effective_n_jobs(self.n_jobs, || nesting.cpus())
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
        let (setup, mut tasks) = self.call(calls(tasks), false)?;
        call::run(setup, &mut tasks)
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
        let (setup, mut tasks) = self.call(tasks, false)?;
        call::run(setup, &mut tasks)
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
        let (setup, mut tasks) = self.call(tasks, false)?;
        call::try_run::<T, E>(setup, &mut tasks)
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
        self.call(calls(tasks), true).and_then(|(setup, tasks)| Ordered::new(setup, tasks))
    }

    /// Like [`iter`](Self::iter), with results as they become ready, each with its task's index.
    ///
    /// # Errors
    /// As [`iter`](Self::iter).
    pub fn iter_unordered<I: IntoIterator<Item: Task>>(
        &self,
        tasks: I,
    ) -> Result<impl Iterator<Item = Result<(usize, Output<I>), Error>> + use<'_, I>, Error> {
        self.call(calls(tasks), true).and_then(|(setup, tasks)| Unordered::new(setup, tasks))
    }

    fn call<I, F, A, R>(&self, tasks: I, keep_going: bool) -> Result<CallOf<'_, I, F, A, R>, Error>
    where
        I: Iterator<Item = (F, A)>,
        F: Function<A, R>,
        A: Data,
        R: Data,
    {
        let setup = self.begin(keep_going, [type_name::<A>(), type_name::<R>()])?;
        let tasks = Calls::new(setup.workers, tasks);
        Ok((setup, tasks))
    }

    fn begin(&self, keep_going: bool, types: [&'static str; 2]) -> Result<Setup<'_>, Error> {
        // Before workers are started: the call's limit holds for that, too.
        let began = Moment::now();
        let (workers, nesting) = self.enter()?;
        Ok(Setup { types, began, ..self.setup(workers, nesting, keep_going) })
    }

    fn setup<'p>(
        &'p self,
        workers: &'p dyn Workers,
        nesting: Nesting,
        keep_going: bool,
    ) -> Setup<'p> {
        let (backend, options) = (self.choice.name(), &self.options);
        let (order, types, began) = (None, [""; 2], Moment::now());
        Setup { workers, backend, nesting, options, keep_going, order, types, began }
    }

    /// The workers, started by the first caller, and where their tasks are.
    fn enter(&self) -> Result<(&dyn Workers, Nesting), Error> {
        self.enter_with(
            &self.workers,
            |n_jobs| self.choice.start(n_jobs, self.n_jobs < 0, self.options.call_timeout),
            &CALLER,
            available,
        )
    }

    /// Does the same for workers that share memory.
    fn enter_shared<'p>(
        &'p self,
        workers: &'p OnceLock<Box<dyn SharedMemory>>,
    ) -> Result<(&'p dyn SharedMemory, Nesting), Error> {
        if self.options.retries > 0 {
            return Err(Error::shared_retries());
        }
        if self.options.resume.is_some() {
            return Err(Error::shared_resume());
        }
        self.enter_with(
            workers,
            |n_jobs| self.choice.start_shared(n_jobs),
            &CALLER,
            |workers| available(workers.as_workers()),
        )
    }

    fn enter_with<'p, W: ?Sized>(
        &self,
        workers: &'p OnceLock<Box<W>>,
        start: impl FnOnce(usize) -> Result<Box<W>, Error>,
        caller: &'p W,
        n_workers: impl FnOnce(&W) -> Result<usize, Error>,
    ) -> Result<(&'p W, Nesting), Error> {
        let here = self.check()?;
        let address = std::ptr::from_ref(self) as usize;
        if here.needs_no_pool(address) {
            return Ok((caller, here.inside(address, 1)));
        }
        // Where two threads make the first call at once, one of the two pools ends here.
        if workers.get().is_none() {
            let _ = workers.set(start(self.n_jobs_at(&here)?)?);
        }
        let workers = &**workers.get().expect("set above");
        match n_workers(workers)? {
            0 => Err(Error::no_workers()),
            n_workers => Ok((workers, here.inside(address, n_workers))),
        }
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

/// How many workers there are.
///
/// # Errors
/// Where they are those of another process.
fn available(workers: &(dyn Workers + '_)) -> Result<usize, Error> {
    if workers.is_forked() { Err(Error::forked()) } else { Ok(workers.n_workers()) }
}

/// Calls of tasks, as pairs of function and argument.
fn calls<I: IntoIterator<Item: Task>>(tasks: I) -> impl Iterator<Item = Pair<I>> + use<I> {
    tasks.into_iter().map(|task| {
        let delayed = task.into_delayed();
        (delayed.f, delayed.arg)
    })
}

type CallOf<'p, I, F, A, R> = (Setup<'p>, Calls<'p, I, F, A, R>);
type Pair<I> = (fn(Arg<I>) -> Output<I>, Arg<I>);
type Arg<I> = <<I as IntoIterator>::Item as Task>::Arg;
type Output<I> = <<I as IntoIterator>::Item as Task>::Output;

impl fmt::Debug for Parallel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parallel(n_jobs={}, backend={}{})",
            self.n_jobs,
            self.choice.name(),
            self.options
        )
    }
}
