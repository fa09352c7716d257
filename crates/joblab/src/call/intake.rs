//! The intake of a call's engine: what becomes of each task when its batch has ended.

use std::iter;
use std::ops::Range;
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::collect::Collect;
use super::engine::Engine;
use super::tasks::Tasks;
use crate::batch::{BatchEnd, Death, Failure, Finished, Outcomes, Reply, ResultReader};
use crate::codec::{Sink, written_by};
use crate::error::Error;
use crate::measure::{Segment, TaskTimes, used_in_other_processes, used_in_other_threads};
use crate::shared;

impl Engine<'_> {
    /// Passes on how each task of a batch has ended, but for those that are tried again.
    pub(super) fn take_in_batch(
        &mut self,
        range: Range<usize>,
        ended: Result<BatchEnd, Error>,
        tasks: &mut dyn Tasks,
        collect: &mut dyn Collect,
    ) {
        let (ended_tasks, ended, running) = match ended {
            Ok(BatchEnd::Here(finished)) => (range, Ok(finished), None),
            Ok(BatchEnd::Elsewhere(reply)) => {
                let read = read(tasks, &range, reply);
                (range, read, None)
            }
            Ok(BatchEnd::Died(death)) => {
                let Death { ended, reply, error } = *death;
                let ended = range.start..range.start + ended;
                let running = error.map(|error| (ended.end..range.end, error));
                let read = read(tasks, &ended, reply);
                (ended, read, running)
            }
            Ok(BatchEnd::Resumed(result)) => {
                self.counts.resumed += 1;
                collect.batch(result);
                return self.take_in_successes(Segment::resumed(range.start), collect);
            }
            Err(error) => (range, Err(error), None),
        };
        match ended {
            Ok(finished) => self.take_in(ended_tasks, finished, tasks, collect),
            Err(error) => self.take_in_failure(ended_tasks, error, collect),
        }
        if let Some((task, error)) = running {
            self.take_in_failure(task, error, collect);
        }
    }

    /// Passes on the outcomes of a batch, but for those that are tried again.
    fn take_in(
        &mut self,
        range: Range<usize>,
        finished: Finished,
        tasks: &dyn Tasks,
        collect: &mut dyn Collect,
    ) {
        self.save(range.start, &finished, tasks);
        let Finished { outcomes, results, pid, thread, thread_id } = finished;
        self.batch_size.learn(&outcomes.times);
        if self.shared.rules.nesting.is_inside_of_a_task() {
            count_for_the_task_around(&outcomes.times, thread_id);
        }
        collect.batch(results);
        let Outcomes { times, failures } = outcomes;
        let batch = Segment {
            first: range.start,
            pid,
            thread: thread.clone(),
            times: times.into(),
            resumed: false,
        };
        // Most batches have no failure, and may have many tasks.
        if failures.is_empty() && self.options.task_timeout.is_none() {
            return self.take_in_successes(batch, collect);
        }
        let mut failures = failures.into_iter().peekable();
        // Behind the last failure.
        let mut next = 0;
        for (place, times) in batch.times.iter().enumerate() {
            let task = range.start + place;
            let index = self.index(task);
            let failure = failures.next_if(|(failed, _)| *failed == place);
            let (error, has_result) = match failure.map(|(_, failure)| failure) {
                None => match self.too_late(index, times.wall()) {
                    None => continue,
                    Some(error) => (Some(error), true),
                },
                Some(Failure::Returned) => (Some(Error::returned(index)), true),
                Some(Failure::Panicked(_)) if self.tries_again(task) => (None, false),
                Some(Failure::Panicked(message)) => {
                    let error = Error::panic(index, &thread, pid, &message);
                    (Some(self.with_attempts(task, error)), false)
                }
                Some(Failure::NoState(reason)) => (Some(Error::state(index, reason)), false),
                Some(Failure::ArgumentUnread(reason)) => {
                    (Some(Error::unread_argument(index, reason)), false)
                }
                Some(Failure::NotCarried(reason)) => (Some(Error::result(index, reason)), false),
            };
            self.take_in_successes(batch.part(next..place), collect);
            next = place + 1;
            if let Some(error) = error {
                self.settle(task..task + 1);
                collect.failed(task, error, has_result);
            }
        }
        self.take_in_successes(batch.part(next..batch.times.len()), collect);
    }

    fn take_in_successes(&mut self, measured: Segment, collect: &mut dyn Collect) {
        if !measured.times.is_empty() {
            self.settle(measured.tasks());
            collect.succeeded(measured);
        }
    }

    /// Brings the results of those that have succeeded into the file of results, before anybody is told of
    /// them.
    fn save(&mut self, first: usize, finished: &Finished, tasks: &dyn Tasks) {
        let Some(resume) = &mut self.keeper.resume else { return };
        let Outcomes { times, failures } = &finished.outcomes;
        let mut failures = failures.iter().peekable();
        // The place of the next result in the batch.
        let mut next = 0;
        for (place, times) in times.iter().enumerate() {
            let has_result = match failures.next_if(|(failed, _)| *failed == place) {
                None => {
                    if self.options.exceeded(times.wall()).is_none() {
                        let write = &mut |sink: &mut Sink<'_>| {
                            tasks.write_result(&finished.results, next, sink)
                        };
                        let task = first + place;
                        resume.add((task, self.shared.order.index(task)), written_by(write));
                    }
                    true
                }
                Some((_, failure)) => matches!(failure, Failure::Returned),
            };
            next += usize::from(has_result);
        }
        resume.write();
    }

    /// The error of a task that took longer than it may. A worker that could be stopped has been; of a
    /// thread this is the first that is heard.
    fn too_late(&self, index: usize, wall: Duration) -> Option<Error> {
        let limit = self.options.exceeded(wall)?;
        let how = format!("threads cannot be stopped: it ended after {wall:.3?}");
        Some(Error::task_timeout(index, limit, &how))
    }

    /// Passes on the failure of a whole batch. Where tasks travelled with the one that is to blame,
    /// they are tried again, each alone.
    fn take_in_failure(&mut self, range: Range<usize>, error: Error, collect: &mut dyn Collect) {
        let is_retried = error.is_worker_death() && self.retries.are_allowed();
        if is_retried && range.len() > 1 {
            self.retries.plan(range);
        } else if !(is_retried && self.tries_again(range.start)) {
            // None may be missing where each has its own outcome.
            let is_death = error.is_worker_death();
            let other = |task| match is_death {
                true => Error::died_with(self.index(task), &error.to_string()),
                false => Error::lost(self.index(task)),
            };
            let others: Vec<_> = range.clone().skip(1).map(|task| (task, other(task))).collect();
            let error = self.with_attempts(range.start, error);
            for (task, error) in iter::once((range.start, error)).chain(others) {
                self.settle(task..task + 1);
                collect.failed(task, error, false);
            }
        }
    }

    /// Counts a failure, and plans another attempt if the task has one left.
    fn tries_again(&mut self, task: usize) -> bool {
        let goes_on = !self.is_stopped();
        self.retries.try_again(task, goes_on)
    }

    /// The error of a task that may have been tried more than once.
    fn with_attempts(&self, task: usize, mut error: Error) -> Error {
        if let Some((attempt, most)) = self.retries.attempt(task) {
            error.add(&format!("it was attempt {attempt} of {most}"));
        }
        error
    }

    /// Tasks have ended for good.
    fn settle(&mut self, tasks: Range<usize>) {
        self.counts.done += tasks.len();
        if self.keeper.is_needed() {
            tasks.for_each(|task| self.keeper.forget(task));
        }
    }
}

/// Counts a batch's CPU time for the task that made the call, unless it ran in the same thread.
fn count_for_the_task_around(times: &[TaskTimes], thread_id: Option<ThreadId>) {
    let cpu = times.iter().map(TaskTimes::cpu).sum();
    match thread_id {
        None => used_in_other_processes(cpu),
        Some(thread) if thread != thread::current().id() => used_in_other_threads(cpu),
        Some(_) => {}
    }
}

/// Makes outcomes of a worker process's message.
fn read(tasks: &mut dyn Tasks, range: &Range<usize>, reply: Reply) -> Result<Finished, Error> {
    let worker = reply.worker;
    let message = &reply.message[reply.outcomes..];
    let outcomes = shared::with_files(reply.files, || {
        ResultReader::read(message, &mut |reader| tasks.read(reader))
    });
    let results = tasks.take_read();
    let mut outcomes = outcomes.ok_or_else(|| Error::torn(range.start))?;
    if worker.clock_ahead != 0 {
        outcomes.times.iter_mut().for_each(|times| times.read_ahead(worker.clock_ahead));
    }
    Ok(Finished { outcomes, results, pid: worker.pid, thread: worker.thread, thread_id: None })
}
