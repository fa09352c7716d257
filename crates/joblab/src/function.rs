//! What the tasks of a list call, and how a worker process calls it, of which it knows only the
//! address.
//!
//! The types of a task are known where the call is made, and nowhere else. There the compiler makes
//! a trampoline for them, and its address travels with that of the function.
#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::c_void;
use std::fmt::Debug;
use std::ptr;
use std::sync::Arc;

use crate::batch::{self, Incoming, Outcomes, Rules};
use crate::codec::{self, Written};
use crate::error::panic_message;
use crate::state::State;
use crate::task::Data;
use crate::travel::Kept;

/// Runs a written batch with the function at the address, and appends the outcomes to the reply:
/// [`batch::run_written`] for types that the caller need not know.
type Trampoline = fn(usize, &mut InWorker, Incoming<'_>, &mut Vec<u8>);
/// Makes a worker process's state with the function at the address, from its written context.
type Maker = fn(usize, &[u8]) -> Result<Box<dyn Any>, String>;
/// A worker process's state, or why it has none.
pub(crate) type Slot = Result<Box<dyn Any>, String>;

/// What a worker process has for the tasks that it runs, and from them.
pub(crate) struct InWorker {
    pub(crate) state: Slot,
    /// The shared memory that is in the reply.
    pub(crate) kept: Kept,
}

/// What the tasks of a list call.
pub(crate) trait Function<A, R>: Clone + Send + 'static {
    /// The address of the user's function, which tells functions apart.
    fn address(&self) -> usize;

    /// The address of the [`Trampoline`] for it.
    fn trampoline(&self) -> usize;

    /// What a worker process needs before it can run the function.
    fn maker(&self) -> Option<PackedState> {
        None
    }

    /// Whether a task that returned this has failed all the same.
    fn has_failed(_result: &R) -> bool {
        false
    }

    /// Runs a batch in this thread.
    fn run(&self, arguments: Vec<A>, rules: &Rules, is_wanted: &dyn Fn() -> bool) -> Outcomes<R>;
}

/// How a worker process gets its state: addresses of this process, and the written context.
pub(crate) struct PackedState {
    pub(crate) maker: usize,
    pub(crate) function: usize,
    pub(crate) context: Result<Arc<Written>, String>,
}

impl<A: Data, R: Data> Function<A, R> for fn(A) -> R {
    fn address(&self) -> usize {
        *self as *const c_void as usize
    }

    fn trampoline(&self) -> usize {
        fn plain<A: Data, R: Data>(
            f: usize,
            worker: &mut InWorker,
            batch: Incoming<'_>,
            reply: &mut Vec<u8>,
        ) {
            // SAFETY: `call`'s promise: this is the address of a function of this type.
            let f: fn(A) -> R = unsafe { std::mem::transmute(pointer(f)) };
            batch::run_written(f, |_| false, batch, reply, &mut worker.kept);
        }
        plain::<A, R> as Trampoline as *const c_void as usize
    }

    fn run(&self, arguments: Vec<A>, rules: &Rules, is_wanted: &dyn Fn() -> bool) -> Outcomes<R> {
        batch::run(*self, Self::has_failed, arguments, rules, is_wanted)
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
            worker: &mut InWorker,
            batch: Incoming<'_>,
            reply: &mut Vec<u8>,
        ) {
            // SAFETY: `call`'s promise: this is the address of a function of this type.
            let f: fn(A) -> Result<T, E> = unsafe { std::mem::transmute(pointer(f)) };
            batch::run_written(f, Result::is_err, batch, reply, &mut worker.kept);
        }
        fallible::<A, T, E> as Trampoline as *const c_void as usize
    }

    fn has_failed(result: &Result<T, E>) -> bool {
        result.is_err()
    }

    fn run(
        &self,
        arguments: Vec<A>,
        rules: &Rules,
        is_wanted: &dyn Fn() -> bool,
    ) -> Outcomes<Result<T, E>> {
        batch::run(self.0, Self::has_failed, arguments, rules, is_wanted)
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
        self.f as *const c_void as usize
    }

    fn trampoline(&self) -> usize {
        fn stateful<A: Data, R: Data, S: 'static>(
            f: usize,
            worker: &mut InWorker,
            batch: Incoming<'_>,
            reply: &mut Vec<u8>,
        ) {
            // SAFETY: `call`'s promise: this is the address of a function of this type.
            let f: fn(A, &mut S) -> R = unsafe { std::mem::transmute(pointer(f)) };
            let state = match &mut worker.state {
                Ok(state) => state.downcast_mut().ok_or("it is of another type".to_owned()),
                Err(reason) => Err(reason.clone()),
            };
            match state {
                Ok(state) => {
                    let kept = &mut worker.kept;
                    batch::run_written(|a| f(a, state), |_| false, batch, reply, kept);
                }
                Err(reason) => batch::refuse_written(&reason, batch, reply),
            }
        }
        stateful::<A, R, S> as Trampoline as *const c_void as usize
    }

    fn maker(&self) -> Option<PackedState> {
        fn make<C: Data, S: 'static>(f: usize, context: &[u8]) -> Slot {
            // SAFETY: `call`'s promise: this is the address of a function of this type.
            let f: fn(&C) -> S = unsafe { std::mem::transmute(pointer(f)) };
            let make = || Ok(Box::new(f(&codec::read(context)?)) as Box<dyn Any>);
            std::panic::catch_unwind(make).unwrap_or_else(|payload| Err(panic_message(payload)))
        }
        Some(PackedState {
            maker: make::<C, S> as Maker as *const c_void as usize,
            function: self.state.make as *const c_void as usize,
            context: self.state.written(),
        })
    }

    fn run(&self, arguments: Vec<A>, rules: &Rules, is_wanted: &dyn Fn() -> bool) -> Outcomes<R> {
        match self.state.take() {
            Ok(mut state) => {
                let f = |argument| (self.f)(argument, &mut state);
                let outcomes = batch::run(f, |_| false, arguments, rules, is_wanted);
                self.state.put_back(state);
                outcomes
            }
            Err(reason) => batch::refuse(&reason, arguments.len()),
        }
    }
}

fn pointer(address: usize) -> *const c_void {
    ptr::with_exposed_provenance(address)
}

/// Calls a function through its trampoline.
///
/// # Safety
/// `trampoline` must be an address that [`Function::trampoline`] gave in this build of this crate,
/// carried over to where the same image is loaded in this process, and `function` that of the same
/// value.
pub(crate) unsafe fn call(
    trampoline: usize,
    function: usize,
    worker: &mut InWorker,
    batch: Incoming<'_>,
    reply: &mut Vec<u8>,
) {
    // SAFETY: the caller's promise: this is the address of a trampoline.
    let trampoline: Trampoline = unsafe { std::mem::transmute(pointer(trampoline)) };
    trampoline(function, worker, batch, reply);
}

/// Makes a worker's state.
///
/// # Safety
/// As for [`call`], with the addresses of a [`PackedState`].
pub(crate) unsafe fn make(maker: usize, function: usize, context: &[u8]) -> Slot {
    // SAFETY: the caller's promise: this is the address of a maker.
    let maker: Maker = unsafe { std::mem::transmute(pointer(maker)) };
    maker(function, context)
}
