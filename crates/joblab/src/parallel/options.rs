//! The options of [`Parallel`] that hold for each of its calls, whatever the backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Parallel;
use crate::call::{CancelToken, Progress, ResumeFrom};

impl Parallel {
    /// Sends `tasks` tasks to a worker at a time. Without this each call chooses how many, by what the
    /// last tasks took: one, where they take long.
    pub fn batch_size(mut self, tasks: usize) -> Self {
        self.options.batch_size = Some(tasks);
        self
    }

    /// Pulls at most `tasks` tasks from their iterator ahead of those that are finished; `usize::MAX`
    /// for all of them. Without this it is two batches for each worker, which is
    /// `2 * n_jobs` tasks where they take long.
    pub fn pre_dispatch(mut self, tasks: usize) -> Self {
        self.options.pre_dispatch = Some(tasks);
        self
    }

    /// Runs a task that panicked, or whose worker died, up to `attempts` more times. The call writes
    /// its argument down before the first attempt, so that it is there for the next one. A task that is late
    /// ([`task_timeout`](Self::task_timeout)) is not run again: it would be so once more.
    pub fn retries(mut self, attempts: u32) -> Self {
        self.options.retries = attempts;
        self
    }

    /// Limits how long each task may take, from its start in the worker. A late worker process is
    /// stopped and replaced. A thread cannot be stopped: the task fails when it ends.
    ///
    /// With this option the call sends tasks to worker processes one by one.
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.options.task_timeout = Some(limit);
        self
    }

    /// Limits how long a call may take as a whole. Threads cannot be stopped: the call then waits for the
    /// tasks that run, and starts no others. What the first call takes to start its workers counts, such as
    /// the Python process of [`Backend::Dask`](crate::Backend::Dask) that connects to the cluster.
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.options.call_timeout = Some(limit);
        self
    }

    /// Limits how long a call may wait without any task ending, as [`call_timeout`](Self::call_timeout)
    /// limits it as a whole.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.options.stall_timeout = Some(limit);
        self
    }

    /// Stops calls when the token is cancelled.
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.options.cancel_token = Some(token.clone());
        self
    }

    /// Prints joblib's progress lines, and in them how many results [`resume`](Self::resume) has found. A
    /// higher number prints more of them; above 10 there is one for each batch. They go to standard error,
    /// and from 50 on to standard output. A notebook shows at most one a second, and the last one.
    pub fn verbose(mut self, verbose: u32) -> Self {
        self.options.verbose = verbose;
        self
    }

    /// Calls `tell` whenever a batch has ended, in the thread that made the call.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.options.on_progress = Some(Arc::new(tell));
        self
    }

    /// Keeps the results of tasks in this file as they come, and does not run tasks whose results are in
    /// it: after an interrupt, a crash or a restart the same list goes on where it was.
    ///
    /// A task is known by its argument and by the types of its argument and result, wherever it stands in
    /// the list; equal ones take one result each. A task that failed is run again. What a function does, no
    /// file can tell: give it another file when it has changed, or another name
    /// ([`resume_as`](Self::resume_as)).
    ///
    /// ```
    /// # use joblab::Parallel;
    /// # let path = std::env::temp_dir().join(format!("joblab-resume-{}", std::process::id()));
    /// let parallel = Parallel::new(2).resume(&path);
    /// let first = parallel.map(|n: u64| n * n, 0..4)?;
    /// let second = parallel.map(|n: u64| n * n, 0..6)?;
    /// assert_eq!((first.resumed(), second.resumed()), (0, 4));
    /// assert_eq!(second.results, [0, 1, 4, 9, 16, 25]);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// A result is in the file before anybody is told of it, and stays there if the program is killed; a
    /// loss of power may take the last ones. One call at a time uses a file. It belongs to this version of
    /// joblab: another one may refuse it, and never misreads it. What is in an argument should be written
    /// in the same order each time: a `BTreeMap` is, a `HashMap` is not, and its tasks run again.
    pub fn resume(self, path: impl Into<PathBuf>) -> Self {
        self.resume_as(path, "")
    }

    /// As [`resume`](Self::resume), for the function of this name: one file may have the results of
    /// several, and those of another version of it, each under a name of its own.
    pub fn resume_as(mut self, path: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        self.options.resume = Some(ResumeFrom { path: path.into(), name: name.into() });
        self
    }
}
