//! The list of tasks as the caller gives it: an iterator that is pulled as workers get free.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error;
use crate::task::{Delayed, Task};

/// The caller's iterator, from which batches of calls of one function are pulled.
pub(super) struct Input<I, A, R> {
    tasks: I,
    /// A call that was pulled and was of another function than the ones before it.
    held: Option<Delayed<A, R>>,
}

impl<T: Task, I: Iterator<Item = T>> Input<I, T::Arg, T::Output> {
    pub(super) fn new(tasks: I) -> Self {
        Input { tasks, held: None }
    }

    /// How many tasks are left, where the iterator knows.
    pub(super) fn remaining(&self) -> Option<usize> {
        match self.tasks.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        }
    }

    /// Up to `most` calls of one function; none at the end. Where the iterator panics, the error
    /// is how many it gave before, and the panic's message.
    pub(super) fn pull(&mut self, most: usize) -> Pulled<T::Arg, T::Output> {
        let mut calls: Option<Calls<_, _>> = None;
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..most {
                let held = self.held.take();
                let Some(call) = held.or_else(|| self.tasks.next().map(Task::into_delayed)) else {
                    break;
                };
                let calls = calls.get_or_insert(Calls {
                    f: call.f,
                    arguments: Vec::new(),
                });
                if calls.f as usize != call.f as usize {
                    self.held = Some(call);
                    break;
                }
                calls.arguments.push(call.arg);
            }
        }));
        match pulled {
            Ok(()) => Ok(calls),
            Err(payload) => {
                let before = calls.map_or(0, |calls| calls.arguments.len());
                Err((before, error::panic_message(payload)))
            }
        }
    }
}

pub(super) type Pulled<A, R> = Result<Option<Calls<A, R>>, (usize, String)>;

/// Calls of one function.
pub(super) struct Calls<A, R> {
    pub(super) f: fn(A) -> R,
    pub(super) arguments: Vec<A>,
}
