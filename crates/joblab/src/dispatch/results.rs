//! What a call's caller gets: all results at once, or one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Call, Source};
use crate::error::Error;
use crate::run::{Run, TaskRecord};

/// Runs a call to its end, or to the first failure: then what runs is stopped, or, where the pool
/// cannot do that, waited for. `judge` says what a task's result is worth.
pub(crate) fn run<S, T>(
    mut call: Call<'_, S>,
    judge: impl Fn(usize, S::Output) -> Result<T, Error>,
) -> Result<Run<T>, Error>
where
    S: Source<Output: 'static>,
    T: Send + 'static,
{
    // An iterator may promise more than memory holds; pages cost when they are used.
    let capacity = call.source.remaining().unwrap_or(0).min(1 << 20);
    let mut results: Vec<Option<T>> = Vec::with_capacity(capacity);
    let mut records: Vec<Option<TaskRecord>> = Vec::with_capacity(capacity);
    let mut failure: Option<Error> = None;
    loop {
        let mut failed = None;
        let advanced = call.advance(0, &mut |index, outcome| {
            let outcome = outcome
                .and_then(|(result, record)| judge(index, result).map(|result| (result, record)));
            match outcome {
                Ok((result, record)) => {
                    if results.len() <= index {
                        results.resize_with(index + 1, || None);
                        records.resize_with(index + 1, || None);
                    }
                    results[index] = Some(result);
                    records[index] = Some(record);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        });
        let (goes_on, error) = match advanced {
            Ok(goes_on) => (goes_on, failed),
            Err(error) => (true, failed.or(Some(error))),
        };
        if let Some(error) = error
            && failure.is_none()
        {
            failure = Some(error);
            call.stop();
        }
        if !goes_on {
            break;
        }
    }

    if let Some(error) = &mut failure
        && error.is_timeout()
        && !call.leaves
    {
        let elapsed = call.stopwatch.origin().elapsed();
        error.add(&format!("the last task that ran in a thread ended after {elapsed:.3?}"));
    }
    let missing = || records.iter().position(Option::is_none);
    if let Some(error) = failure.or_else(|| missing().map(Error::lost)) {
        let results = results.into_iter().enumerate();
        let results = results.filter_map(|(index, result)| Some((index, result?)));
        return Err(error.with_finished(results.collect::<Vec<(usize, T)>>()));
    }
    // All are there, so that this only takes the wrapping off, where they lie.
    let results = results.into_iter().map_while(|result| result).collect();
    let tasks: Vec<_> = records.into_iter().map_while(|record| record).collect();
    let worker_cpu: Duration = tasks.iter().map(|task| task.cpu).sum();
    Ok(Run {
        results,
        timing: call.stopwatch.stop(worker_cpu),
        tasks,
        n_workers: call.pool.n_workers(),
    })
}

/// Results as they become ready, each with its index.
pub(crate) struct Unordered<'p, S: Source> {
    call: Call<'p, S>,
    ready: VecDeque<Result<(usize, S::Output), Error>>,
    is_over: bool,
}

impl<'p, S: Source> Unordered<'p, S> {
    pub(crate) fn new(call: Call<'p, S>) -> Self {
        Unordered { call, ready: VecDeque::new(), is_over: false }
    }
}

impl<S: Source<Output: 'static>> Iterator for Unordered<'_, S> {
    type Item = Result<(usize, S::Output), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.is_over {
            let ready = &mut self.ready;
            let advanced = self.call.advance(0, &mut |index, outcome| {
                ready.push_back(outcome.map(|(result, _)| (index, result)));
            });
            self.is_over = end(&mut self.call, advanced, |error| ready.push_back(Err(error)));
        }
        self.ready.pop_front()
    }
}

/// Results in the order of the tasks, each as soon as it and all before it are ready.
pub(crate) struct Ordered<'p, S: Source> {
    call: Call<'p, S>,
    /// The outcomes of the next tasks, where they are there.
    ready: VecDeque<Option<Result<S::Output, Error>>>,
    /// The index of the first of them.
    next: usize,
    /// The error that ended the call.
    last: Option<Error>,
    is_over: bool,
}

impl<'p, S: Source> Ordered<'p, S> {
    pub(crate) fn new(call: Call<'p, S>) -> Self {
        Ordered { call, ready: VecDeque::new(), next: 0, last: None, is_over: false }
    }
}

impl<S: Source<Output: 'static>> Iterator for Ordered<'_, S> {
    type Item = Result<S::Output, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !matches!(self.ready.front(), Some(Some(_))) && !self.is_over {
            let (ready, next) = (&mut self.ready, self.next);
            let held = ready.iter().flatten().count();
            let advanced = self.call.advance(held, &mut |index, outcome| {
                let place = index - next;
                if ready.len() <= place {
                    ready.resize_with(place + 1, || None);
                }
                ready[place] = Some(outcome.map(|(result, _)| result));
            });
            let last = &mut self.last;
            self.is_over = end(&mut self.call, advanced, |error| *last = Some(error));
        }
        if let Some(Some(outcome)) = self.ready.pop_front() {
            self.next += 1;
            return Some(outcome);
        }
        // What is ready behind a gap is given back with the error that left it.
        let ready = std::mem::take(&mut self.ready).into_iter().zip(self.next + 1..);
        let finished = ready.filter_map(|(outcome, index)| Some((index, outcome?.ok()?)));
        let error = self.last.take()?;
        Some(Err(error.with_finished(finished.collect::<Vec<_>>())))
    }
}

/// Whether a call is over; one that has failed as a whole is stopped, and its error passed on.
fn end<S: Source<Output: 'static>>(
    call: &mut Call<'_, S>,
    advanced: Result<bool, Error>,
    fail: impl FnOnce(Error),
) -> bool {
    match advanced {
        Ok(goes_on) => !goes_on,
        Err(mut error) => {
            call.stop();
            if !call.leaves {
                error.add("tasks that run in threads cannot be stopped, and go on to their end");
            }
            fail(error);
            true
        }
    }
}
