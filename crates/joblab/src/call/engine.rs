//! The engine of a call: when to pull tasks, when to hand out batches, how long to wait, what to try
//! again, when to stop. It knows no types of tasks, and is compiled once.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::batch_size::BatchSize;
use super::cancel::Watch;
use super::collect::{All, Collect, OutcomeQueue, Take};
use super::keeper::Keeper;
use super::options::Options;
use super::progress::{Counts, Reporter};
use super::resume::Resume;
use super::retries::Retries;
use super::tasks::Tasks;
use crate::batch::{CallShared, Completion, Event, Nesting, Order, Rules};
use crate::error::{self, Error};
use crate::measure::{Moment, Stopwatch, TaskRecords, Timing};
use crate::pool::Workers;
use crate::shared;

/// A call that is under way.
///
/// Tasks are pulled from their iterator, by the calling thread alone, as workers get free. Dropped,
/// the call stops what it still has under way.
pub(crate) struct Engine<'p> {
    workers: &'p dyn Workers,
    pub(super) options: &'p Options,
    pub(super) shared: Arc<CallShared>,
    sender: Sender<Event>,
    pub(super) events: Receiver<Event>,
    /// Since when the call's limit counts. The stopwatch counts from when there are workers.
    pub(super) began: Moment,
    pub(super) stopwatch: Stopwatch,
    pub(super) batch_size: BatchSize,
    pub(super) counts: Counts,
    pub(super) retries: Retries,
    pub(super) keeper: Keeper,
    reporter: Option<Reporter>,
    /// Since when no task has ended.
    pub(super) quiet_since: Moment,
    /// Whether the call is stopped and need not wait for its tasks.
    pub(super) leaves: bool,
    /// Whether all tasks of an iterator have ended, or the call has failed.
    is_over: bool,
    /// The error that ended it.
    last: Option<Error>,
    _watch: Option<Watch>,
}

/// What there is to tell of a call in which no task failed, beside the results.
pub(super) struct CallEnd {
    pub(super) timing: Timing,
    pub(super) records: TaskRecords,
    pub(super) n_workers: usize,
}

/// What a call is to be made with.
pub(crate) struct Setup<'p> {
    pub(crate) workers: &'p dyn Workers,
    /// The backend's name.
    pub(crate) backend: &'p str,
    pub(crate) nesting: Nesting,
    pub(crate) options: &'p Options,
    /// Whether the call goes on after a task has failed.
    pub(crate) keep_going: bool,
    /// Where tasks are started in another order than the list's.
    pub(crate) order: Option<&'p Order>,
    /// The names of the tasks' types: of the argument and of the result.
    pub(crate) types: [&'static str; 2],
    /// When it was made, before its workers started.
    pub(crate) began: Moment,
}

/// Runs a call to its end, or to the first failure: then what runs is stopped, or, where the pool
/// cannot do that, waited for. What has succeeded is given to `taken` in both cases.
pub(super) fn run_to_end(
    setup: Setup<'_>,
    tasks: &mut dyn Tasks,
    taken: &mut dyn Take,
) -> Result<CallEnd, Error> {
    let mut all = All::default();
    let ended = Engine::new(setup)?.run(tasks, &mut all);
    all.give_to(taken);
    ended
}

impl<'p> Engine<'p> {
    /// # Errors
    /// Where the file of results cannot be used.
    pub(super) fn new(setup: Setup<'p>) -> Result<Self, Error> {
        let Setup { workers, backend, nesting, options, keep_going, order, types, began } = setup;
        let order = order.cloned().unwrap_or_default();
        let resume = options.resume.as_ref().map(|from| Resume::open(from, types)).transpose()?;
        let stopwatch = Stopwatch::start();
        let (sender, events) = mpsc::channel();
        let _watch = options.cancel_token.as_ref().map(|token| {
            let sender = sender.clone();
            token.watch(Box::new(move || drop(sender.send(Event::Cancelled))))
        });
        let keeper = Keeper::new(options.retries > 0, resume, order.clone());
        // A process that is stopped because a task is late takes what travels with it along.
        let alone = options.task_timeout.is_some() && !workers.shares_memory();
        let fixed = if alone { Some(1) } else { options.batch_size };
        let batch_size = BatchSize::new(workers, fixed, &order);
        let shared = Arc::new(CallShared {
            cancelled: AtomicBool::new(false),
            pid: std::process::id(),
            rules: Rules { keep_going: keep_going || options.retries > 0, nesting },
            task_timeout: options.task_timeout,
            order,
        });
        Ok(Engine {
            batch_size,
            counts: Counts::default(),
            reporter: Reporter::new(
                (options.verbose, options.on_progress.as_ref()),
                options.pre_dispatch,
                backend,
                workers.n_workers(),
            ),
            quiet_since: stopwatch.origin(),
            leaves: false,
            is_over: false,
            last: None,
            retries: Retries::new(options.retries),
            keeper,
            workers,
            options,
            shared,
            sender,
            events,
            began,
            stopwatch,
            _watch,
        })
    }

    fn run(mut self, tasks: &mut dyn Tasks, all: &mut All) -> Result<CallEnd, Error> {
        let mut failure: Option<Error> = None;
        loop {
            let advanced = self.advance(tasks, all);
            let (goes_on, error) = match advanced {
                Ok(goes_on) => (goes_on, all.failure.take()),
                Err(error) => (true, all.failure.take().or(Some(error))),
            };
            if let Some(error) = error
                && failure.is_none()
            {
                failure = Some(error);
                self.stop();
            }
            if !goes_on {
                break;
            }
        }
        if let Some(error) = &mut failure
            && error.is_timeout()
            && !self.leaves
        {
            let elapsed = self.stopwatch.origin().elapsed();
            error.add(&format!("the last task that ran in a thread ended after {elapsed:.3?}"));
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let measured = std::mem::take(&mut all.measured);
        let records = TaskRecords::new(self.stopwatch.origin(), measured)
            .map_err(|place| Error::lost(self.index(place)))?;
        let mut timing = self.stopwatch.stop();
        records.add_to(&mut timing);
        let order = &self.shared.order;
        let records = match order.is_lists_own() {
            true => records,
            false => records.with_indices(|place| order.index(place)),
        };
        Ok(CallEnd { timing, records, n_workers: self.workers.n_workers() })
    }

    /// Goes on until the next outcome is ready. The error that ended the call comes last.
    pub(super) fn fill(
        &mut self,
        tasks: &mut dyn Tasks,
        queue: &mut OutcomeQueue,
    ) -> Option<Error> {
        while !queue.is_ready() && !self.is_over {
            match self.advance(tasks, queue) {
                Ok(goes_on) => self.is_over = !goes_on,
                Err(mut error) => {
                    self.stop();
                    if !self.leaves {
                        error.add(
                            "tasks that run in threads cannot be stopped, and go on to their end",
                        );
                    }
                    self.last = Some(error);
                    self.is_over = true;
                }
            }
        }
        if queue.is_ready() { None } else { self.last.take() }
    }

    /// Hands out what there is room for, waits until a batch has ended, and passes on how each of
    /// its tasks ended for good. False when all tasks have.
    ///
    /// # Errors
    /// Those of the call as a whole; it should be [stopped](Self::stop) then.
    fn advance(&mut self, tasks: &mut dyn Tasks, collect: &mut dyn Collect) -> Result<bool, Error> {
        self.quiet_since = Moment::now();
        if self.counts.sent_batches == 0 {
            self.counts.length = tasks.remaining();
        }
        loop {
            self.check()?;
            self.hand_out(tasks, collect.held())?;
            if self.counts.under_way == 0 {
                return Ok(false);
            }
            let (range, ended) = match self.wait()? {
                Some(Event::Ended(range, ended)) => (range, ended),
                Some(Event::Cancelled) => continue,
                None => return Ok(false),
            };
            self.counts.under_way -= range.len();
            self.take_in_batch(range, ended, tasks, collect);
            if let Some(error) = self.keeper.resume.as_mut().and_then(Resume::take_error) {
                return Err(error);
            }
            if let Some(reporter) = &mut self.reporter {
                reporter.report(&self.counts, &self.stopwatch);
            }
            return Ok(true);
        }
    }

    /// Hands out tasks until the workers have enough of them. `held` is how many results wait for
    /// their consumer: they take up room too.
    fn hand_out(&mut self, tasks: &mut dyn Tasks, held: usize) -> Result<(), Error> {
        while !self.is_stopped() {
            // These have their room already, and results that wait behind them may have taken the
            // rest.
            if let Some(index) = self.retries.next() {
                if let Some(task) = self.keeper.kept(index) {
                    shared::with_attachments(task.attachments(), || tasks.pull_kept(task))?;
                    self.submit(tasks, index..index + 1)?;
                    self.counts.under_way += 1;
                }
                continue;
            }
            let most = self.options.pre_dispatch;
            let most = most.unwrap_or_else(|| self.batch_size.ahead(self.workers));
            let room = most.saturating_sub(self.counts.under_way + held);
            if room == 0 || self.counts.all_sent {
                break;
            }
            let first = self.counts.sent_tasks;
            let size = self.batch_size.next(tasks.remaining());
            pull(tasks, size.min(room), first, &mut self.keeper)?;
            let aside = self.keeper.take_aside();
            let aside = aside.map(|resumed| resumed.map(|()| tasks.take_read()));
            let sent = tasks.pulled();
            if sent > 0 {
                self.submit(tasks, first..first + sent)?;
                self.count_sent(sent);
            }
            if let Some(resumed) = aside {
                let completion = self.completion(first + sent..first + sent + 1);
                match resumed {
                    Ok(result) => completion.resumed(result),
                    Err(error) => completion.failed(error),
                }
                self.count_sent(1);
            }
            self.counts.all_sent = tasks.is_at_end();
        }
        Ok(())
    }

    fn count_sent(&mut self, tasks: usize) {
        self.counts.sent_tasks += tasks;
        self.counts.sent_batches += 1;
        self.counts.under_way += tasks;
    }

    /// Hands out the batch that has been pulled, of the tasks with these indices.
    fn submit(&self, tasks: &mut dyn Tasks, indices: Range<usize>) -> Result<(), Error> {
        self.check_process()?;
        tasks.submit(&mut Some(self.completion(indices)))
    }

    fn completion(&self, tasks: Range<usize>) -> Completion {
        Completion::new(tasks, self.sender.clone(), Arc::clone(&self.shared))
    }

    /// The list's index of the task at this place.
    pub(super) fn index(&self, place: usize) -> usize {
        self.shared.order.index(place)
    }

    /// Whether the workers are those of this process: the caller's code, which runs where tasks are
    /// pulled, may have forked. It is a system call, so it is made only where that matters.
    pub(super) fn check_process(&self) -> Result<(), Error> {
        if self.workers.is_forked() { Err(Error::forked()) } else { Ok(()) }
    }

    /// Hands out nothing more, and has what runs stopped, where the pool can do that.
    fn stop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        self.counts.all_sent = true;
        self.retries.clear();
        self.leaves = self.workers.stop_unwanted() || self.workers.is_forked();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if self.counts.under_way > 0 {
            self.shared.cancelled.store(true, Ordering::Relaxed);
            self.workers.stop_unwanted();
        }
    }
}

/// Fills the next batch from the caller's iterator. The first task of it has the index `first`.
fn pull(
    tasks: &mut dyn Tasks,
    most: usize,
    first: usize,
    keeper: &mut Keeper,
) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(|| tasks.pull(most, keeper)))
        .map_err(|payload| Error::input(first + tasks.pulled(), &error::panic_message(payload)))
}
