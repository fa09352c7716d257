//! What a worker makes once and keeps for its tasks.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;
use std::{thread, vec};

use super::function::{Function, PackedState, caught, make_addresses, stateful_trampoline};
use super::runner::{Failure, Recorder, run_each};
use crate::codec::{self, Written};
use crate::error::drop_quietly;
use crate::os::lock;
use crate::task::Data;

/// How states are made, and those of threads, each from its thread's first task on.
pub(crate) struct State<C, S> {
    make: fn(&C) -> S,
    context: C,
    written: OnceLock<Result<Arc<Written>, String>>,
    of_threads: Mutex<Vec<(ThreadId, S)>>,
}

impl<C: Data, S> State<C, S> {
    pub(crate) fn new(make: fn(&C) -> S, context: C) -> Self {
        State { make, context, written: OnceLock::new(), of_threads: Mutex::default() }
    }

    /// The context as worker processes get it, written once.
    fn written(&self) -> Result<Arc<Written>, String> {
        let write = || codec::write(&self.context).map(Arc::new);
        self.written.get_or_init(write).clone()
    }

    /// The current thread's state, which is made if there is none yet.
    fn take(&self) -> Result<S, String> {
        let thread = thread::current().id();
        let mut states = self.of_threads();
        if let Some(place) = states.iter().position(|(of, _)| *of == thread) {
            return Ok(states.swap_remove(place).1);
        }
        drop(states);
        caught(|| Ok((self.make)(&self.context)))
    }

    fn of_threads(&self) -> MutexGuard<'_, Vec<(ThreadId, S)>> {
        lock(&self.of_threads)
    }
}

/// Drops the threads' states. The panic of the user's code is printed, and nothing else comes of it.
impl<C, S> Drop for State<C, S> {
    fn drop(&mut self) {
        for (_, state) in lock(&self.of_threads).drain(..) {
            drop_quietly(state);
        }
    }
}

impl<C, S> std::fmt::Debug for State<C, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({})", std::any::type_name::<S>())
    }
}

/// A state while a thread's tasks use it. It goes back when they end, in a panic too.
struct InUse<'a, C: Data, S> {
    home: &'a State<C, S>,
    state: Option<S>,
}

impl<C: Data, S> Drop for InUse<'_, C, S> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.home.of_threads().push((thread::current().id(), state));
        }
    }
}

/// A function that gets its worker's state.
pub(crate) struct Stateful<A, R, C, S> {
    pub(crate) f: fn(A, &mut S) -> R,
    pub(crate) state: Arc<State<C, S>>,
}

impl<A, R, C, S> Clone for Stateful<A, R, C, S> {
    fn clone(&self) -> Self {
        Stateful { f: self.f, state: Arc::clone(&self.state) }
    }
}

impl<A, R, C, S> Function<A, R> for Stateful<A, R, C, S>
where
    A: Data,
    R: Data,
    C: Data + Sync,
    S: Send + 'static,
{
    fn address(&self) -> usize {
        self.f as *const std::ffi::c_void as usize
    }

    fn trampoline(&self) -> usize {
        stateful_trampoline::<A, R, S>()
    }

    fn state(&self) -> Option<PackedState> {
        let (function, maker) = make_addresses(self.state.make);
        Some(PackedState { maker, function, context: self.state.written() })
    }

    fn run(
        &self,
        arguments: &mut vec::IntoIter<A>,
        results: &mut Vec<R>,
        recorder: &mut Recorder<'_>,
    ) {
        match self.state.take() {
            Ok(state) => {
                let mut used = InUse { home: &self.state, state: Some(state) };
                let state = used.state.as_mut().expect("it was just put there");
                run_each(
                    |argument| (self.f)(argument, state),
                    |_| false,
                    arguments,
                    results,
                    recorder,
                );
            }
            Err(reason) => {
                while recorder.goes_on() && arguments.next().is_some() {
                    recorder.failed(Failure::NoState(reason.clone()));
                }
            }
        }
    }
}
