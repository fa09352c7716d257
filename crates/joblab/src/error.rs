//! The one error type: what happened, to which task, and what to do.

mod remedy;

use std::any::Any;
use std::fmt::{self, Debug, Display};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::os::lock;

/// Why a call failed. The message names the task and the remedy.
///
/// `{:?}` prints the same message as `{}`, since that is what a notebook shows when a cell ends
/// in `?`.
pub struct Error {
    kind: Kind,
    task: Option<usize>,
    message: String,
    /// The lock only makes it `Sync`.
    finished: Mutex<Option<Box<Finished>>>,
    /// The task's own error, as it returned it.
    cause: Mutex<Option<Box<dyn Any + Send>>>,
    /// What the system, serde or another library said.
    source: Option<Reason>,
}

/// Results of tasks that had finished. Index and result are put together where they are taken, and not in
/// each cell that calls.
struct Finished {
    indices: Vec<usize>,
    /// A `Vec` of their type.
    results: Box<dyn Any + Send>,
}

/// What the system, serde or another library says: an error, or its words.
pub(crate) type Reason = Box<dyn std::error::Error + Send + Sync>;

/// What a program may want to tell apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    Panic,
    Death,
    Failure,
    Timeout,
    Cancelled,
    Other,
}

impl Error {
    fn new(kind: Kind, task: Option<usize>, message: String) -> Self {
        let (finished, cause) = (Mutex::default(), Mutex::default());
        Error { kind, task, message, finished, cause, source: None }
    }

    /// For what something else has refused: the message goes on with its reason, and then says what to
    /// do, which is `otherwise` where it is not the system that refused.
    fn refused(task: Option<usize>, what: &str, reason: Reason, otherwise: &str) -> Self {
        let words = reason.to_string();
        let message = match remedy::for_reason(&words).unwrap_or(otherwise) {
            "" => format!("{what}: {words}"),
            remedy => format!("{what}: {words}. {remedy}"),
        };
        Error { source: Some(reason), ..Error::new(Kind::Other, task, message) }
    }

    pub(crate) fn n_jobs(asked: i32, most: usize) -> Self {
        let message = format!(
            "n_jobs = {asked} has no meaning: give 1 to {most} for that many workers, \
             -1 for as many as there are CPUs, -2 for all CPUs but one"
        );
        Error::new(Kind::Invalid, None, message)
    }

    /// For an option that is zero and must not be.
    pub(crate) fn zero(option: &str, range: &str) -> Self {
        let message = format!("{option} = 0 has no meaning: give {range}");
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn unknown_backend(name: &str, known: &[String]) -> Self {
        let known = known.join(", ");
        let message = format!("{name:?} is no backend: the backends are {known}");
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn cost(index: usize) -> Self {
        let message = format!(
            "the cost of task {index} is NaN, which is neither dear nor cheap: give a number, infinity \
             for what is to start first"
        );
        Error::new(Kind::Invalid, Some(index), message)
    }

    pub(crate) fn results(path: &Path, reason: io::Error) -> Self {
        let what = format!("the file of results {} cannot be used", path.display());
        let otherwise = "What is in it stays; results that are not in it are in take_finished";
        Error::refused(None, &what, reason.into(), otherwise)
    }

    pub(crate) fn results_in_use(path: &Path) -> Self {
        let message = format!(
            "another call or program writes to the file of results {}: wait for its end, or give this \
             call a file of its own",
            path.display()
        );
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn results_foreign(path: &Path) -> Self {
        let message = format!(
            "{} is no file of results, or one of another version of joblab, and is left as it is: \
             name another file",
            path.display()
        );
        Error::new(Kind::Invalid, None, message)
    }

    /// For what is in shared memory, of which bytes hold nothing but the place.
    pub(crate) fn resume_shared(index: usize, what: &str) -> Self {
        let message = format!(
            "the {what} of task {index} is in shared memory, so that no file can tell what it is: leave \
             resume out, or let tasks take and return what is in it"
        );
        Error::new(Kind::Invalid, Some(index), message)
    }

    pub(crate) fn unsaved(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("the result of task {index} cannot be kept in the file of results");
        Error::refused(Some(index), &what, reason.into(), "Return a type that serde can write")
    }

    pub(crate) fn shared_resume() -> Self {
        let message = "resume has no meaning with sharedmem, whose inputs and results need not be \
                       data that a file can hold: leave it out, or use map";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    pub(crate) fn shared_retries() -> Self {
        let message = "retries has no meaning with sharedmem, whose inputs may be borrowed and \
                       cannot be kept for another attempt: leave it out, or use map";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    pub(crate) fn own_sharedmem() -> Self {
        let message = "a pool of your own cannot run what borrows from its caller: use map, run or \
                       iter with it, or sharedmem without with_pool";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    pub(crate) fn nested(depth: usize) -> Self {
        let message = format!(
            "{depth} calls of Parallel are nested in each other's tasks, which looks like a \
             recursion without an end; let inner tasks call functions directly"
        );
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn pool(n_jobs: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("a pool of {n_jobs} workers could not be started");
        Error::refused(None, &what, reason.into(), "")
    }

    pub(crate) fn forked() -> Self {
        let message = "this process is a fork of the one that started the pool, and the workers are \
                       not there for it: make a new Parallel behind the fork";
        Error::new(Kind::Other, None, message.to_owned())
    }

    pub(crate) fn no_workers() -> Self {
        let message = "the pool has no workers: n_workers must be at least 1".to_owned();
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn memory(numbers: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("there is no shared memory for {numbers} numbers");
        Error::refused(None, &what, reason.into(), "")
    }

    pub(crate) fn parts(parts: usize) -> Self {
        let message = format!(
            "{parts} parts are not given back: join when the call that has them is over, and no \
             variable holds one"
        );
        Error::new(Kind::Other, None, message)
    }

    /// An error of a [`Pool`](crate::Pool) of your own.
    pub fn other(reason: impl Display) -> Self {
        Error::new(Kind::Other, None, reason.to_string())
    }

    pub(crate) fn start(how: impl Into<Reason>) -> Self {
        Error::refused(None, "a worker process could not be started", how.into(), "")
    }

    pub(crate) fn input(index: usize, message: &str) -> Self {
        let message = format!(
            "the iterator of tasks panicked when it was asked for task {index}: {message}. \
             The pool can be used again"
        );
        Error::new(Kind::Other, Some(index), message)
    }

    pub(crate) fn argument(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!(
            "task {index} has not run, since its argument cannot be sent to another process"
        );
        let otherwise = "Send a type that serde can write, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    /// For an argument that has been sent.
    pub(crate) fn unread_argument(index: usize, reason: impl Into<Reason>) -> Self {
        let what =
            format!("task {index} has not run, since its worker could not read its argument");
        let otherwise = "Send a type that serde reads as it writes, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    pub(crate) fn function(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("the function of task {index} cannot run in another process");
        Error::refused(Some(index), &what, reason.into(), "")
    }

    pub(crate) fn state(index: usize, reason: impl Display) -> Self {
        let message = format!("task {index} did not run, since its worker has no state: {reason}");
        Error::new(Kind::Panic, Some(index), message)
    }

    pub(crate) fn panic(index: usize, thread: &str, pid: u32, message: &str) -> Self {
        let message = format!(
            "task {index} panicked in thread {thread} of process {pid}: {message}. \
             The pool can be used again"
        );
        Error::new(Kind::Panic, Some(index), message)
    }

    /// For a task that returned an error of its own, which is not known yet.
    pub(crate) fn returned(index: usize) -> Self {
        Error::new(Kind::Failure, Some(index), format!("task {index} failed"))
    }

    /// For a task that returned an error of its own.
    pub(crate) fn failure<E: Debug + Send + 'static>(index: usize, cause: E) -> Self {
        let message = format!("task {index} failed: {cause:?}");
        Error {
            cause: Mutex::new(Some(Box::new(cause))),
            ..Error::new(Kind::Failure, Some(index), message)
        }
    }

    pub(crate) fn result(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("task {index} has run, but its result could not be sent back");
        let otherwise = "Return a type that serde reads as it writes, or use threads";
        Error::refused(Some(index), &what, reason.into(), otherwise)
    }

    pub(crate) fn torn(index: usize) -> Self {
        let message = format!(
            "what the worker of task {index} answered is not whole; make a new Parallel, and see \
             whether the task writes to files that are not its own"
        );
        Error::new(Kind::Other, Some(index), message)
    }

    /// For the tasks of a batch, of which there is at least one.
    pub(crate) fn died(tasks: &[usize], worker: &str, how: &str) -> Self {
        // Short tasks travel together, and a dead worker cannot say how far it came.
        let (first, last) = (tasks[0], tasks[tasks.len() - 1]);
        let which = match tasks.len() {
            1 => format!("task {first}"),
            n if tasks.is_sorted() && last - first < n => format!("one of tasks {first} to {last}"),
            n => format!("one of {n} tasks, the first of which is task {first}"),
        };
        let message = format!(
            "{worker} {how} while it ran {which}. \
             The pool replaces the worker and can be used again"
        );
        Error::new(Kind::Death, Some(first), message)
    }

    /// For a task that travelled with one whose worker has died, where nobody knows how far it came.
    pub(crate) fn died_with(index: usize, of_the_batch: &str) -> Self {
        let message = format!("task {index} may have run, or not: {of_the_batch}");
        Error::new(Kind::Death, Some(index), message)
    }

    pub(crate) fn task_timeout(index: usize, limit: Duration, end: &str) -> Self {
        let message = format!("task {index} ran for longer than task_timeout = {limit:?}; {end}");
        Error::new(Kind::Timeout, Some(index), message)
    }

    pub(crate) fn timeout(option: &str, limit: Duration) -> Self {
        let what = match option {
            "stall_timeout" => "no task had ended for",
            _ => "the call had not ended after",
        };
        let message = format!("{what} {option} = {limit:?}; take_finished gives what had ended");
        Error::new(Kind::Timeout, None, message)
    }

    pub(crate) fn cancelled(done: usize) -> Self {
        let message = format!(
            "the call was cancelled after {done} tasks had ended; take_finished gives their results"
        );
        Error::new(Kind::Cancelled, None, message)
    }

    pub(crate) fn lost(index: usize) -> Self {
        let message =
            format!("the pool broke down before task {index} was answered; make a new Parallel");
        Error::new(Kind::Other, Some(index), message)
    }

    pub(crate) fn no_dask(looked_at: &str) -> Self {
        let message = format!(
            "Backend::Dask needs a Python that has the package `distributed`, and there is none \
             (tried: {looked_at}). Install it with `python3 -m pip install distributed`, or name \
             such a Python in JOBLAB_PYTHON"
        );
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn dask(reason: &str) -> Self {
        let message = format!("the Dask cluster cannot be used: {reason}");
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn no_scheduler() -> Self {
        let message = "scheduler(\"\") names no cluster: give its scheduler's address, as \
                       tcp://127.0.0.1:8786, or leave it out for the cluster of Dask's configuration, \
                       or one that is started here";
        Error::new(Kind::Other, None, message.to_owned())
    }

    /// For what went wrong in Dask and not in the task.
    pub(crate) fn dask_task(index: usize, reason: &str) -> Self {
        let message = format!("Dask did not run task {index}: {reason}");
        Error::new(Kind::Other, Some(index), message)
    }

    #[cfg(feature = "figures")]
    pub(crate) fn figure(reason: impl Display) -> Self {
        let message = format!("the figure could not be made: {reason}");
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn replay(reason: impl Display) -> Self {
        Error::new(Kind::Other, None, format!("the run cannot be replayed: {reason}"))
    }

    #[cfg(feature = "figures")]
    pub(crate) fn figure_file(path: &Path, reason: io::Error) -> Self {
        let what = format!("the figure could not be saved to {}", path.display());
        Error::refused(None, &what, reason.into(), "")
    }

    pub(crate) fn add(&mut self, more: &str) {
        self.message = format!("{}; {more}", self.message);
    }

    /// With the results, a `Vec` of their type, of the tasks of these indices.
    pub(crate) fn with_finished(self, indices: Vec<usize>, results: Box<dyn Any + Send>) -> Self {
        let finished = Box::new(Finished { indices, results });
        Error { finished: Mutex::new(Some(finished)), ..self }
    }

    /// The index of the task that the error is about, from 0 in the order of the list; the first of
    /// them where it is about several that travelled together.
    pub fn task_index(&self) -> Option<usize> {
        self.task
    }

    /// Whether a task panicked.
    pub fn is_panic(&self) -> bool {
        self.kind == Kind::Panic
    }

    /// Whether a worker process ended while it ran a task.
    pub fn is_worker_death(&self) -> bool {
        self.kind == Kind::Death
    }

    /// Whether a task returned an error of its own; [`take_cause`](Self::take_cause) has it.
    pub fn is_failure(&self) -> bool {
        self.kind == Kind::Failure
    }

    /// Whether a task or the call took longer than it may.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Whether the call was cancelled by its token.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Cancelled
    }

    /// Whether the call was asked for something that makes no sense, so that nothing ran.
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Takes the results of the tasks that had finished, each with its index, in the order of the
    /// list. `R` is what the tasks return; with another type, or the second time, there are none.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel};
    /// fn inverse(n: i64) -> i64 {
    ///     100 / n
    /// }
    /// let parallel = Parallel::new(1).backend(Backend::Sequential);
    /// let error = parallel.map(inverse, [5, 10, 0]).unwrap_err();
    /// assert_eq!(error.take_finished::<i64>(), [(0, 20), (1, 10)]);
    /// ```
    pub fn take_finished<R: 'static>(&self) -> Vec<(usize, R)> {
        let is_it = |finished: &mut Box<Finished>| finished.results.is::<Vec<R>>();
        let Some(finished) = lock(&self.finished).take_if(is_it) else { return Vec::new() };
        let Ok(results) = finished.results.downcast::<Vec<R>>() else { return Vec::new() };
        let mut finished: Vec<(usize, R)> = finished.indices.into_iter().zip(*results).collect();
        finished.sort_unstable_by_key(|(index, _)| *index);
        finished
    }

    /// Takes the error that the task returned, as it was. `E` is its type; with another one, or the
    /// second time, there is none.
    pub fn take_cause<E: 'static>(&self) -> Option<E> {
        let cause = lock(&self.cause).take_if(|cause| cause.is::<E>())?;
        cause.downcast().ok().map(|cause| *cause)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The source is what the system, serde or another library said, where the failure is theirs; its words
/// are in the message too.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The words of a panic. A payload of another type is dropped, and may panic then.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(payload) => {
                drop_quietly(payload);
                "a panic without a message".to_owned()
            }
        },
    }
}

/// Drops what belongs to a user, whose code may panic then. Nobody can be told.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // It may panic in its turn, and there need be no end to it.
        std::mem::forget(payload);
    }
}
