//! Where a call's tasks come from: the caller's iterator, which is pulled as workers get free.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::delivery::{self, Batch, EndedHere, Line};
use crate::backend::{Job, Pool, Reply, Spawn};
use crate::batch;
use crate::codec::{self, Written};
use crate::error::{self, Error};
use crate::function::Function;
use crate::task::Data;

/// What a call hands out.
pub(crate) trait Source {
    type Output: Send;

    /// How many tasks are left, where the iterator knows.
    fn remaining(&self) -> Option<usize>;

    /// Hands out up to `most` next tasks, of which the first has the index `first`.
    fn send(&mut self, most: usize, first: usize, line: &Line<Self::Output>)
    -> Result<Sent, Error>;

    /// Hands out a task that was handed out before. False where it cannot be.
    fn send_again(&mut self, index: usize, line: &Line<Self::Output>) -> Result<bool, Error>;

    /// Says that a task will not be handed out again.
    fn forget(&mut self, index: usize);

    /// Reads the message of a worker process.
    fn unpack(tasks: &Range<usize>, reply: Reply) -> Result<EndedHere<Self::Output>, Error>;
}

/// What became of an attempt to hand out tasks.
pub(crate) enum Sent {
    /// So many are on their way.
    Tasks(usize),
    /// The next task cannot travel.
    Refused(Error),
    /// There are no more.
    End,
}

/// Calls of functions that any worker can run.
pub(crate) struct Calls<'p, I, F, A, R> {
    pool: &'p dyn Pool,
    tasks: I,
    /// A call that was pulled and was of another function than the ones before it.
    held: Option<(F, A)>,
    refused: Option<Error>,
    /// The calls that may have to be handed out again, written down.
    kept: Option<HashMap<usize, (F, Written)>>,
    result: PhantomData<fn() -> R>,
}

impl<'p, I, F, A, R> Calls<'p, I, F, A, R>
where
    I: Iterator<Item = (F, A)>,
    F: Function<A, R>,
    A: Data,
    R: Data,
{
    /// `keeps`: whether tasks may have to be handed out again.
    pub(crate) fn new(pool: &'p dyn Pool, tasks: I, keeps: bool) -> Self {
        Calls {
            pool,
            tasks,
            held: None,
            refused: None,
            kept: keeps.then(HashMap::new),
            result: PhantomData,
        }
    }

    fn submit(
        &self,
        function: F,
        arguments: Vec<A>,
        first: usize,
        line: &Line<R>,
    ) -> Result<(), Error> {
        let way_home = line.way_home(first..first + arguments.len());
        self.pool.submit(Job(Box::new(Batch { function, arguments, rules: line.rules, way_home })))
    }

    /// The next task, if it is of this function; none at the end.
    fn next_of(&mut self, function: Option<&F>) -> Option<(F, A)> {
        let (next, argument) = self.held.take().or_else(|| self.tasks.next())?;
        if function.is_some_and(|function| function.address() != next.address()) {
            self.held = Some((next, argument));
            return None;
        }
        Some((next, argument))
    }

    /// Writes a task down where it may be needed again. False where that cannot be done.
    fn keep(&mut self, index: usize, function: &F, argument: &A) -> bool {
        let Some(kept) = &mut self.kept else {
            return true;
        };
        match codec::write(argument) {
            Ok(written) => {
                kept.insert(index, (function.clone(), written));
                true
            }
            Err(reason) => {
                self.refused = Some(Error::argument(index, reason));
                false
            }
        }
    }
}

impl<I, F, A, R> Source for Calls<'_, I, F, A, R>
where
    I: Iterator<Item = (F, A)>,
    F: Function<A, R>,
    A: Data,
    R: Data,
{
    type Output = R;

    fn remaining(&self) -> Option<usize> {
        let pulled = usize::from(self.held.is_some()) + usize::from(self.refused.is_some());
        Some(exact_length(&self.tasks)? + pulled)
    }

    fn send(&mut self, most: usize, first: usize, line: &Line<R>) -> Result<Sent, Error> {
        let mut function: Option<F> = None;
        let mut arguments = Vec::new();
        pull(first, &mut arguments, |arguments| {
            while arguments.len() < most
                && self.refused.is_none()
                && let Some((next, argument)) = self.next_of(function.as_ref())
                && self.keep(first + arguments.len(), &next, &argument)
            {
                function.get_or_insert(next);
                arguments.push(argument);
            }
        })?;
        let tasks = arguments.len();
        match function {
            Some(function) => {
                self.submit(function, arguments, first, line)?;
                Ok(Sent::Tasks(tasks))
            }
            None => Ok(self.refused.take().map_or(Sent::End, Sent::Refused)),
        }
    }

    fn send_again(&mut self, index: usize, line: &Line<R>) -> Result<bool, Error> {
        let Some((function, written)) = self.kept.as_ref().and_then(|kept| kept.get(&index)) else {
            return Ok(false);
        };
        let argument =
            codec::read(&written.bytes).map_err(|reason| Error::argument(index, reason))?;
        self.submit(function.clone(), vec![argument], index, line)?;
        Ok(true)
    }

    fn forget(&mut self, index: usize) {
        if let Some(kept) = &mut self.kept {
            kept.remove(&index);
        }
    }

    fn unpack(tasks: &Range<usize>, reply: Reply) -> Result<EndedHere<R>, Error> {
        delivery::unpack(tasks, reply)
    }
}

/// Calls of one closure, which may borrow from the caller, as its inputs may.
pub(crate) struct Borrowing<'scope, 'p, I, F> {
    pub(crate) spawn: &'p dyn Spawn<'scope>,
    pub(crate) inputs: I,
    pub(crate) f: &'scope F,
}

impl<'scope, I, F, A, R> Source for Borrowing<'scope, '_, I, F>
where
    I: Iterator<Item = A>,
    F: Fn(A) -> R + Sync,
    A: Send + 'scope,
    R: Send + 'scope,
{
    type Output = R;

    fn remaining(&self) -> Option<usize> {
        exact_length(&self.inputs)
    }

    fn send(&mut self, most: usize, first: usize, line: &Line<R>) -> Result<Sent, Error> {
        let mut inputs = Vec::new();
        pull(first, &mut inputs, |inputs| inputs.extend(self.inputs.by_ref().take(most)))?;
        let tasks = inputs.len();
        if tasks == 0 {
            return Ok(Sent::End);
        }
        let (f, rules, way_home) = (self.f, line.rules, line.way_home(first..first + tasks));
        self.spawn.spawn(Box::new(move || {
            way_home.run(|is_wanted| batch::run(f, |_| false, inputs, &rules, is_wanted));
        }));
        Ok(Sent::Tasks(tasks))
    }

    /// Inputs that may be borrowed cannot be written down.
    fn send_again(&mut self, _: usize, _: &Line<R>) -> Result<bool, Error> {
        Ok(false)
    }

    fn forget(&mut self, _: usize) {}

    fn unpack(tasks: &Range<usize>, _: Reply) -> Result<EndedHere<R>, Error> {
        Err(Error::lost(tasks.start))
    }
}

/// Has the caller's iterator fill `inputs`, of which the first has the index `first`.
fn pull<A>(first: usize, inputs: &mut Vec<A>, fill: impl FnOnce(&mut Vec<A>)) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(|| fill(inputs)))
        .map_err(|payload| Error::input(first + inputs.len(), &error::panic_message(payload)))
}

fn exact_length(tasks: &impl Iterator) -> Option<usize> {
    match tasks.size_hint() {
        (least, Some(most)) if least == most => Some(least),
        _ => None,
    }
}
