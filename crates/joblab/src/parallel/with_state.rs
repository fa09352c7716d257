//! [`WithState`]: workers that make something once and keep it for their tasks.

use std::sync::Arc;

use super::Parallel;
use crate::batch::{State, Stateful};
use crate::call;
use crate::error::Error;
use crate::measure::Run;
use crate::task::Data;

/// A pool whose workers have a state each; [`Parallel::with_state`] makes one.
#[derive(Debug)]
pub struct WithState<C, S> {
    parallel: Parallel,
    state: Arc<State<C, S>>,
}

impl Parallel {
    /// Gives each worker a state: the worker calls `make(&context)` before its first task, and keeps
    /// what that returns for all of its tasks: a loaded model, a connection, a table that is sent once
    /// to a worker and not once with each task.
    ///
    /// States are dropped when the pool ends: those of threads when this is dropped, in the thread that
    /// does so; those of processes in their processes, which this waits for, but not for longer than
    /// five seconds. A process that still runs a task nobody waits for, or that is stopped or dies, drops
    /// nothing, and so does one whose program ends with the pool still there. What panics in a drop
    /// is printed, and nothing else comes of it.
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
        WithState { parallel: self, state: Arc::new(State::new(make, context)) }
    }
}

impl<C: Data + Sync, S: Send + 'static> WithState<C, S> {
    /// Runs `f` on every input and on the state of the worker that runs it.
    ///
    /// # Errors
    /// As [`Parallel::run`], and where a worker's state could not be made, since that panicked.
    pub fn map<A: Data, R: Data>(
        &self,
        f: fn(A, &mut S) -> R,
        inputs: impl IntoIterator<Item = A>,
    ) -> Result<Run<R>, Error> {
        let function = Stateful { f, state: Arc::clone(&self.state) };
        let tasks = inputs.into_iter().map(|input| (function.clone(), input));
        let (setup, mut tasks) = self.parallel.call(tasks, false)?;
        call::run(setup, &mut tasks)
    }
}
