//! Where a call's tasks come from, with their types: the caller's iterator, which is pulled as workers
//! get free.

use std::vec;

use super::keeper::{Keeper, KeptTask};
use crate::batch::{self, Batch, Completion, Function, Portable, ResultReader, Results, Work};
use crate::codec::{self, Form, Sink};
use crate::error::Error;
use crate::pool::{Job, Spawn, Workers};
use crate::task::Data;

/// The typed part of a call: where batches come from, one after the other.
pub(crate) trait Tasks {
    /// How many tasks are left, where the iterator says so. It may be wrong.
    fn remaining(&self) -> Option<usize>;

    /// Pulls tasks into the next batch until it has `most`, or there are no more of its function. The
    /// keeper is told of each. The caller's iterator may panic.
    fn pull(&mut self, most: usize, keeper: &mut Keeper);

    /// How many tasks the next batch has.
    fn pulled(&self) -> usize;

    /// Whether all tasks have been pulled.
    fn is_at_end(&self) -> bool;

    /// Hands out the batch, which takes the completion: what typed code does not own, it need not
    /// drop.
    ///
    /// # Errors
    /// Where the pool does not take it.
    fn submit(&mut self, completion: &mut Option<Completion>) -> Result<(), Error>;

    /// Makes one task that was kept the next batch, where nothing else is pulled.
    ///
    /// # Errors
    /// Where the task's argument cannot be read.
    fn pull_kept(&mut self, task: &KeptTask) -> Result<(), Error> {
        Err(Error::lost(task.index))
    }

    /// Writes one of a batch's results, the error says why that cannot be done.
    fn write_result(&self, _: &Results, _: usize, _: &mut Sink<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Reads the results that a worker in another process has written.
    fn read(&mut self, _: &mut ResultReader<'_>) {}

    /// What was read.
    fn take_read(&mut self) -> Results {
        Box::new(())
    }
}

/// Calls of functions that any worker can run.
pub(crate) struct Calls<'p, I, F, A, R> {
    workers: &'p dyn Workers,
    tasks: I,
    /// Whether the iterator has ended: it is not asked again.
    is_exhausted: bool,
    /// A call that was pulled ahead: it is of another function than the ones before it, or shows that
    /// the iterator said wrongly that it is at its end.
    held: Option<(F, A)>,
    function: Option<F>,
    arguments: Vec<A>,
    results: Vec<R>,
    /// The functions of the tasks that are kept.
    functions: Vec<F>,
}

impl<'p, I, F, A, R> Calls<'p, I, F, A, R>
where
    I: Iterator<Item = (F, A)>,
    F: Function<A, R>,
    A: Data,
    R: Data,
{
    pub(crate) fn new(workers: &'p dyn Workers, tasks: I) -> Self {
        Calls {
            workers,
            tasks,
            is_exhausted: false,
            held: None,
            function: None,
            arguments: Vec::new(),
            results: Vec::new(),
            functions: Vec::new(),
        }
    }

    fn next(&mut self) -> Option<(F, A)> {
        if self.held.is_some() {
            return self.held.take();
        }
        if self.is_exhausted {
            return None;
        }
        let next = self.tasks.next();
        self.is_exhausted = next.is_none();
        next
    }

    /// Has a task written down, since it may be needed again. False where it is not to be handed out.
    fn keep(&mut self, function: &F, argument: &A, keeper: &mut Keeper) -> bool {
        let mut place = 0;
        while place < self.functions.len() && self.functions[place].address() != function.address()
        {
            place += 1;
        }
        if place == self.functions.len() {
            self.functions.push(function.clone());
        }
        let results = &mut self.results;
        keeper.keep(place, &mut |sink| Form::new().write(argument, sink), &mut |bytes| {
            match Form::new().read(bytes) {
                Ok(result) => results.push(result),
                Err(_) => return false,
            }
            true
        })
    }

    fn batch(function: F, arguments: Vec<A>) -> Box<dyn Portable> {
        Box::new(Batch { function, arguments: arguments.into_iter(), results: Vec::new() })
    }
}

impl<I, F, A, R> Tasks for Calls<'_, I, F, A, R>
where
    I: Iterator<Item = (F, A)>,
    F: Function<A, R>,
    A: Data,
    R: Data,
{
    fn remaining(&self) -> Option<usize> {
        Some(exact_length(self.tasks.size_hint())? + usize::from(self.held.is_some()))
    }

    fn pull(&mut self, most: usize, keeper: &mut Keeper) {
        while self.arguments.len() < most
            && let Some((function, argument)) = self.next()
        {
            if self.function.as_ref().is_some_and(|first| first.address() != function.address()) {
                self.held = Some((function, argument));
                return;
            }
            if keeper.is_needed() && !self.keep(&function, &argument, keeper) {
                return;
            }
            self.function = Some(function);
            self.arguments.push(argument);
        }
        // That there are no more is best known before the last batch has ended. An iterator that says so
        // is asked once more, and not believed.
        if self.held.is_none() && self.tasks.size_hint() == (0, Some(0)) {
            self.held = self.next();
        }
    }

    fn pulled(&self) -> usize {
        self.arguments.len()
    }

    fn is_at_end(&self) -> bool {
        self.is_exhausted && self.held.is_none()
    }

    fn submit(&mut self, completion: &mut Option<Completion>) -> Result<(), Error> {
        let arguments = std::mem::take(&mut self.arguments);
        match self.function.take() {
            Some(function) => submit(self.workers, Self::batch(function, arguments), completion),
            None => Ok(()),
        }
    }

    fn pull_kept(&mut self, task: &KeptTask) -> Result<(), Error> {
        let argument = codec::read(task.argument()).map_err(|reason| task.refused(reason))?;
        self.arguments.push(argument);
        self.function = Some(self.functions[task.function()].clone());
        Ok(())
    }

    fn write_result(
        &self,
        results: &Results,
        place: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        match results.downcast_ref::<vec::IntoIter<R>>() {
            Some(results) => Form::new().write(&results.as_slice()[place], sink),
            None => Err(String::new()),
        }
    }

    fn read(&mut self, reader: &mut ResultReader<'_>) {
        let form = Form::new();
        while let Some(bytes) = reader.next_result() {
            match form.read(bytes) {
                Ok(result) => self.results.push(result),
                Err(reason) => reader.refuse(reason),
            }
        }
    }

    fn take_read(&mut self) -> Results {
        Box::new(std::mem::take(&mut self.results).into_iter())
    }
}

fn submit(
    workers: &dyn Workers,
    work: Box<dyn Portable>,
    completion: &mut Option<Completion>,
) -> Result<(), Error> {
    completion.take().map_or(Ok(()), |completion| workers.submit(Job { work, completion }))
}

/// Calls of one closure, which may borrow from the caller, as its inputs may.
pub(crate) struct Borrowing<'scope, 'p, I: Iterator, F> {
    spawn: &'p dyn Spawn<'scope>,
    inputs: I,
    f: &'scope F,
    is_exhausted: bool,
    held: Option<I::Item>,
    arguments: Vec<I::Item>,
}

impl<'scope, 'p, I: Iterator, F> Borrowing<'scope, 'p, I, F> {
    pub(crate) fn new(spawn: &'p dyn Spawn<'scope>, inputs: I, f: &'scope F) -> Self {
        let (is_exhausted, held, arguments) = (false, None, Vec::new());
        Borrowing { spawn, inputs, f, is_exhausted, held, arguments }
    }
}

/// Tasks that only threads of this process can run.
struct Borrowed<'scope, A, R, F> {
    f: &'scope F,
    arguments: vec::IntoIter<A>,
    results: Vec<R>,
}

impl<A: Send, R: Send + 'static, F: Fn(A) -> R + Sync> Work for Borrowed<'_, A, R, F> {
    fn run(&mut self, recorder: &mut batch::Recorder<'_>) {
        batch::run_each(self.f, |_| false, &mut self.arguments, &mut self.results, recorder);
    }

    fn take_results(&mut self) -> Results {
        Box::new(std::mem::take(&mut self.results).into_iter())
    }
}

impl<'scope, I, F, A, R> Tasks for Borrowing<'scope, '_, I, F>
where
    I: Iterator<Item = A>,
    F: Fn(A) -> R + Sync,
    A: Send + 'scope,
    R: Send + 'static,
{
    fn remaining(&self) -> Option<usize> {
        exact_length(self.inputs.size_hint())
    }

    fn pull(&mut self, most: usize, _: &mut Keeper) {
        self.arguments.extend(self.held.take());
        while !self.is_exhausted && self.arguments.len() < most {
            match self.inputs.next() {
                Some(argument) => self.arguments.push(argument),
                None => self.is_exhausted = true,
            }
        }
        if !self.is_exhausted && self.inputs.size_hint() == (0, Some(0)) {
            self.held = self.inputs.next();
            self.is_exhausted = self.held.is_none();
        }
    }

    fn pulled(&self) -> usize {
        self.arguments.len()
    }

    fn is_at_end(&self) -> bool {
        self.is_exhausted && self.held.is_none()
    }

    fn submit(&mut self, completion: &mut Option<Completion>) -> Result<(), Error> {
        let arguments = std::mem::take(&mut self.arguments).into_iter();
        let work: Box<dyn Work + 'scope> =
            Box::new(Borrowed { f: self.f, arguments, results: Vec::new() });
        if let Some(completion) = completion.take() {
            self.spawn.spawn(Box::new(move || batch::run(work, completion)));
        }
        Ok(())
    }
}

fn exact_length(hint: (usize, Option<usize>)) -> Option<usize> {
    match hint {
        (least, Some(most)) if least == most => Some(least),
        _ => None,
    }
}
