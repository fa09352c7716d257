//! What the tasks of a list call, and how a worker process calls it, of which it knows only the
//! address.
//!
//! The types of a task are known where the call is made, and nowhere else. There the compiler makes
//! a trampoline for them, and its address travels with that of the function.
#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::c_void;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{ptr, vec};

use super::journal::Journal;
use super::runner::{Recorder, run_each};
use super::written_batch::{Incoming, WrittenBatch, run_each_written};
use crate::codec::{self, Written};
use crate::error::panic_message;
use crate::shared::Attachments;
use crate::task::Data;

/// Runs what is left of a written batch with the function at the address.
type Trampoline = fn(usize, &mut StateResult, &mut WrittenBatch<'_>);
/// Makes a worker process's state with the function at the address, from its written context.
pub(super) type MakeState = fn(usize, &[u8]) -> StateResult;

/// A worker process's state, or why it has none.
pub(crate) type StateResult = Result<Box<dyn Any>, String>;

/// How a worker process gets its state: addresses of this process, and the written context.
pub(crate) struct PackedState {
    pub(crate) maker: usize,
    pub(crate) function: usize,
    pub(crate) context: Result<Arc<Written>, String>,
}

/// What a worker process has for the tasks that it runs, and from them.
pub(crate) struct InWorker {
    pub(crate) state: StateResult,
    /// The shared memory that is in the reply.
    pub(crate) attachments: Attachments,
    /// Where it notes how far it has come, for the case that it dies.
    pub(crate) journal: Option<Journal>,
}

/// What the tasks of a list call.
pub(crate) trait Function<A, R>: Clone + Send + 'static {
    /// The address of the user's function, which tells functions apart.
    fn address(&self) -> usize;

    /// The address of the [`Trampoline`] for it.
    fn trampoline(&self) -> usize;

    /// What a worker process needs before it can run the function.
    fn state(&self) -> Option<PackedState> {
        None
    }

    /// Runs tasks in this thread.
    fn run(
        &self,
        arguments: &mut vec::IntoIter<A>,
        results: &mut Vec<R>,
        recorder: &mut Recorder<'_>,
    );
}

impl<A: Data, R: Data> Function<A, R> for fn(A) -> R {
    fn address(&self) -> usize {
        *self as *const c_void as usize
    }

    fn trampoline(&self) -> usize {
        fn plain<A: Data, R: Data>(f: usize, _: &mut StateResult, batch: &mut WrittenBatch<'_>) {
            // SAFETY: `call_trampoline`'s promise: this is the address of a function of this type.
            let f: fn(A) -> R = unsafe { std::mem::transmute(pointer(f)) };
            run_each_written(f, |_| false, batch);
        }
        plain::<A, R> as Trampoline as *const c_void as usize
    }

    fn run(
        &self,
        arguments: &mut vec::IntoIter<A>,
        results: &mut Vec<R>,
        recorder: &mut Recorder<'_>,
    ) {
        run_each(self, |_| false, arguments, results, recorder);
    }
}

/// A function whose errors are failures of their tasks.
pub(crate) struct Fallible<A, T, E>(pub(crate) fn(A) -> Result<T, E>);

impl<A, T, E> Clone for Fallible<A, T, E> {
    fn clone(&self) -> Self {
        Fallible(self.0)
    }
}

impl<A: Data, T: Data, E: Data + Debug> Function<A, Result<T, E>> for Fallible<A, T, E> {
    fn address(&self) -> usize {
        self.0 as *const c_void as usize
    }

    fn trampoline(&self) -> usize {
        fn fallible<A: Data, T: Data, E: Data>(
            f: usize,
            _: &mut StateResult,
            batch: &mut WrittenBatch<'_>,
        ) {
            // SAFETY: `call_trampoline`'s promise: this is the address of a function of this type.
            let f: fn(A) -> Result<T, E> = unsafe { std::mem::transmute(pointer(f)) };
            run_each_written(f, Result::is_err, batch);
        }
        fallible::<A, T, E> as Trampoline as *const c_void as usize
    }

    fn run(
        &self,
        arguments: &mut vec::IntoIter<A>,
        results: &mut Vec<Result<T, E>>,
        recorder: &mut Recorder<'_>,
    ) {
        run_each(self.0, Result::is_err, arguments, results, recorder);
    }
}

/// The address of the trampoline for a function that gets its worker's state.
pub(super) fn stateful_trampoline<A: Data, R: Data, S: 'static>() -> usize {
    fn stateful<A: Data, R: Data, S: 'static>(
        f: usize,
        state: &mut StateResult,
        batch: &mut WrittenBatch<'_>,
    ) {
        // SAFETY: `call_trampoline`'s promise: this is the address of a function of this type.
        let f: fn(A, &mut S) -> R = unsafe { std::mem::transmute(pointer(f)) };
        match state.as_mut().map(|state| state.downcast_mut()) {
            Ok(Some(state)) => run_each_written(|argument| f(argument, state), |_| false, batch),
            Ok(None) => batch.no_state("it is of another type"),
            Err(reason) => batch.no_state(reason),
        }
    }
    stateful::<A, R, S> as Trampoline as *const c_void as usize
}

/// The addresses of a function that makes a state, and of what reads its context and calls it.
pub(super) fn make_addresses<C: Data, S: 'static>(make: fn(&C) -> S) -> (usize, usize) {
    fn from_written<C: Data, S: 'static>(make: usize, context: &[u8]) -> StateResult {
        // SAFETY: `make_state`'s promise: this is the address of a function of this type.
        let make: fn(&C) -> S = unsafe { std::mem::transmute(pointer(make)) };
        Ok(Box::new(make(&codec::read(context)?)) as Box<dyn Any>)
    }
    (make as *const c_void as usize, from_written::<C, S> as MakeState as *const c_void as usize)
}

fn pointer(address: usize) -> *const c_void {
    ptr::with_exposed_provenance(address)
}

/// Runs a written batch with a function, through its trampoline, and appends the outcomes to the
/// reply.
///
/// # Safety
/// `trampoline` must be an address that [`Function::trampoline`] gave in this build of this crate,
/// carried over to where the same image is loaded in this process, and `function` that of the same
/// value.
pub(crate) unsafe fn call_trampoline<'a>(
    trampoline: usize,
    function: usize,
    worker: &'a mut InWorker,
    incoming: Incoming<'a>,
    reply: &'a mut Vec<u8>,
) {
    // SAFETY: the caller's promise: this is the address of a trampoline.
    let trampoline: Trampoline = unsafe { std::mem::transmute(pointer(trampoline)) };
    let InWorker { state, attachments, journal } = worker;
    crate::shared::collecting(attachments, || {
        let run = &mut |batch: &mut WrittenBatch<'_>| trampoline(function, state, batch);
        WrittenBatch::run(incoming, reply, journal.as_mut(), run);
    });
}

/// Makes a worker's state.
///
/// # Safety
/// As for [`call_trampoline`], with the addresses of a [`PackedState`].
pub(crate) unsafe fn make_state(maker: usize, function: usize, context: &[u8]) -> StateResult {
    // SAFETY: the caller's promise: this is the address of a maker.
    let maker: MakeState = unsafe { std::mem::transmute(pointer(maker)) };
    caught(|| maker(function, context))
}

/// Makes a state; the panic of the user's code is its error.
pub(super) fn caught<T>(make: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|payload| Err(panic_message(payload)))
}
