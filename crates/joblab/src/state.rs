//! [`WithState`]: workers that make something once and keep it for their tasks.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use crate::codec::{self, Written};
use crate::dispatch;
use crate::error::{Error, panic_message};
use crate::function::Stateful;
use crate::lock::lock;
use crate::parallel::Parallel;
use crate::run::Run;
use crate::task::Data;

/// A pool whose workers have a state each; [`Parallel::with_state`] makes one.
#[derive(Debug)]
pub struct WithState<C, S> {
    parallel: Parallel,
    state: Arc<State<C, S>>,
}

impl<C: Data + Sync, S: Send + 'static> WithState<C, S> {
    pub(crate) fn new(parallel: Parallel, make: fn(&C) -> S, context: C) -> Self {
        let state = Arc::new(State {
            make,
            context,
            written: OnceLock::new(),
            of_threads: Mutex::default(),
        });
        WithState { parallel, state }
    }

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
        dispatch::run(self.parallel.call(tasks, false)?, |_, result| Ok(result))
    }
}

/// How states are made, and those of threads, each from its thread's first task on.
pub(crate) struct State<C, S> {
    pub(crate) make: fn(&C) -> S,
    context: C,
    written: OnceLock<Result<Arc<Written>, String>>,
    of_threads: Mutex<HashMap<ThreadId, S>>,
}

impl<C: Data, S> State<C, S> {
    /// The context as worker processes get it, written once.
    pub(crate) fn written(&self) -> Result<Arc<Written>, String> {
        let write = || codec::write(&self.context).map(Arc::new);
        self.written.get_or_init(write).clone()
    }

    /// The current thread's state, which is made if there is none yet.
    pub(crate) fn take(&self) -> Result<S, String> {
        if let Some(state) = self.of_threads().remove(&std::thread::current().id()) {
            return Ok(state);
        }
        let make = AssertUnwindSafe(|| (self.make)(&self.context));
        catch_unwind(make).map_err(|payload: Box<dyn Any + Send>| panic_message(payload))
    }

    pub(crate) fn put_back(&self, state: S) {
        self.of_threads().insert(std::thread::current().id(), state);
    }

    fn of_threads(&self) -> MutexGuard<'_, HashMap<ThreadId, S>> {
        lock(&self.of_threads)
    }
}

impl<C, S> std::fmt::Debug for State<C, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({})", std::any::type_name::<S>())
    }
}
