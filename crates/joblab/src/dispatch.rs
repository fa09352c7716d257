//! The call itself, once for every backend: pulls tasks, hands them out in batches, brings outcomes
//! home, tries again, measures, and stops when it has to.

mod batch_size;
mod delivery;
mod options;
mod results;
mod source;

use std::collections::HashMap;
use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};

use self::batch_size::BatchSize;
use self::delivery::{Ended, EndedHere, Event, Line};
pub(crate) use self::options::Options;
pub(crate) use self::results::{Ordered, Unordered, run};
use self::source::Sent;
pub(crate) use self::source::{Borrowing, Calls, Source};
use crate::backend::Pool;
use crate::batch::{Failure, Rules};
use crate::cancel::Watch;
use crate::error::Error;
use crate::nesting::Nesting;
use crate::progress::{Counts, Reporter};
use crate::run::TaskRecord;
use crate::spin::spin;
use crate::timing::{Moment, Stopwatch, TaskTimes};

/// A call that is under way.
///
/// Tasks are pulled from their iterator, by the calling thread alone, as workers get free. Dropped,
/// the call stops what it still has under way.
pub(crate) struct Call<'p, S: Source> {
    source: S,
    pool: &'p dyn Pool,
    options: &'p Options,
    line: Line<S::Output>,
    events: Receiver<Event<S::Output>>,
    stopwatch: Stopwatch,
    batch_size: BatchSize,
    counts: Counts,
    /// Tasks to be handed out once more, each in a batch of its own.
    again: Vec<usize>,
    /// How often tasks have failed, where they may be tried again.
    failures: HashMap<usize, u32>,
    reporter: Option<Reporter>,
    /// Since when no task has ended.
    quiet_since: Moment,
    /// Whether the call is stopped and need not wait for its tasks.
    leaves: bool,
    _watch: Option<Watch>,
}

/// A call of functions that any worker can run.
pub(crate) type CallOf<'p, I, F, A, R> = Call<'p, Calls<'p, I, F, A, R>>;

impl<'p, S: Source<Output: 'static>> Call<'p, S> {
    /// `keep_going`: whether the call goes on after a task has failed.
    pub(crate) fn new(
        source: S,
        pool: &'p dyn Pool,
        backend: &str,
        nesting: Nesting,
        options: &'p Options,
        keep_going: bool,
    ) -> Self {
        let stopwatch = Stopwatch::start();
        let (sender, events) = mpsc::channel();
        let _watch = options.cancel_token.as_ref().map(|token| {
            let sender = sender.clone();
            token.watch(Box::new(move || drop(sender.send(Event::Cancelled))))
        });
        let line = Line {
            events: sender,
            cancelled: Arc::new(AtomicBool::new(false)),
            rules: Rules { keep_going: keep_going || options.retries > 0, nesting },
            time_limit: options.task_timeout,
        };
        // A process that is stopped because a task is late takes what travels with it along.
        let alone = options.task_timeout.is_some() && !pool.shares_memory();
        let fixed = if alone { Some(1) } else { options.batch_size };
        Call {
            batch_size: BatchSize::new(pool, fixed),
            counts: Counts { length: source.remaining(), ..Counts::default() },
            reporter: Reporter::new(options, backend, pool.n_workers()),
            quiet_since: stopwatch.origin(),
            leaves: false,
            again: Vec::new(),
            failures: HashMap::new(),
            source,
            pool,
            options,
            line,
            events,
            stopwatch,
            _watch,
        }
    }

    /// Hands out what there is room for, waits until a batch comes home, and passes on how each of
    /// its tasks ended for good. False when all tasks have.
    ///
    /// `held` is how many results wait for their consumer: they take up room too.
    ///
    /// # Errors
    /// Those of the call as a whole; it should be [stopped](Self::stop) then.
    fn advance(
        &mut self,
        held: usize,
        each: &mut impl FnMut(usize, Result<(S::Output, TaskRecord), Error>),
    ) -> Result<bool, Error> {
        self.quiet_since = Moment::now();
        loop {
            self.check()?;
            self.hand_out(held)?;
            if self.counts.under_way == 0 {
                return Ok(false);
            }
            let (tasks, ended) = match self.wait()? {
                Some(Event::Ended(tasks, ended)) => (tasks, ended),
                Some(Event::Cancelled) => continue,
                None => return Ok(false),
            };
            self.counts.under_way -= tasks.len();
            let ended = ended.and_then(|ended| match ended {
                Ended::Here(ended) => Ok(ended),
                Ended::Packed(reply) => S::unpack(&tasks, reply),
            });
            match ended {
                Ok(ended) => self.take_in(tasks, ended, each),
                Err(error) => self.take_in_failure(tasks, error, each),
            }
            if let Some(reporter) = &mut self.reporter {
                reporter.report(&self.counts, &self.stopwatch);
            }
            return Ok(true);
        }
    }

    /// Whether the call may go on.
    fn check(&self) -> Result<(), Error> {
        if self.is_stopped() {
            return Ok(());
        }
        if let Some(token) = &self.options.cancel_token
            && token.is_cancelled()
        {
            return Err(Error::cancelled(self.counts.done));
        }
        match self.options.timeout {
            Some(limit) if self.stopwatch.origin().elapsed() >= limit => {
                Err(Error::timeout("timeout", limit))
            }
            _ => Ok(()),
        }
    }

    /// Hands out tasks until the workers have enough of them.
    fn hand_out(&mut self, held: usize) -> Result<(), Error> {
        while !self.is_stopped() {
            // These have their room already, and results that wait behind them may have taken the
            // rest.
            if let Some(index) = self.again.pop() {
                if self.source.send_again(index, &self.line)? {
                    self.counts.under_way += 1;
                }
                continue;
            }
            let most = self.options.pre_dispatch;
            let most = most.unwrap_or(self.pool.look_ahead() * self.batch_size.size);
            let room = most.saturating_sub(self.counts.under_way + held);
            if room == 0 || self.counts.all_sent {
                break;
            }
            let size = self.batch_size.next(self.source.remaining());
            let first = self.counts.sent_tasks;
            let tasks = match self.source.send(size.min(room), first, &self.line)? {
                Sent::Tasks(tasks) => tasks,
                Sent::Refused(error) => {
                    let refused = Event::Ended(first..first + 1, Err(error));
                    // We hold the other end.
                    let _ = self.line.events.send(refused);
                    1
                }
                Sent::End => {
                    self.counts.all_sent = true;
                    break;
                }
            };
            self.counts.sent_tasks += tasks;
            self.counts.sent_batches += 1;
            self.counts.under_way += tasks;
            self.counts.all_sent = self.source.remaining() == Some(0);
        }
        Ok(())
    }

    /// Waits for the next event, or until a limit of the call has passed. None where the call is
    /// stopped, and waits for nothing.
    fn wait(&self) -> Result<Option<Event<S::Output>>, Error> {
        if self.leaves {
            return Ok(self.events.try_recv().ok());
        }
        if let Some(event) = spin(|| self.events.try_recv().ok()) {
            return Ok(Some(event));
        }
        let limits = [
            ("timeout", self.options.timeout, self.stopwatch.origin()),
            ("stall_timeout", self.options.stall_timeout, self.quiet_since),
        ];
        let next = limits
            .into_iter()
            .filter(|_| !self.is_stopped())
            .filter_map(|(name, limit, since)| {
                Some((limit? - since.elapsed().min(limit?), name, limit?))
            })
            .min();
        // The channel stays open: this call holds a sender itself.
        match next {
            None => Ok(self.events.recv().ok()),
            Some((left, name, limit)) => match self.events.recv_timeout(left) {
                Ok(event) => Ok(Some(event)),
                Err(_) => Err(Error::timeout(name, limit)),
            },
        }
    }

    /// Passes on the outcomes of a batch, but for those that are tried again.
    fn take_in(
        &mut self,
        tasks: Range<usize>,
        ended: EndedHere<S::Output>,
        each: &mut impl FnMut(usize, Result<(S::Output, TaskRecord), Error>),
    ) {
        let EndedHere { outcomes, pid, thread } = ended;
        self.batch_size.learn(&outcomes.times);
        let carried = outcomes.carried.into_iter().chain(iter::repeat(0));
        let costs = outcomes.times.iter().zip(carried);
        for (index, (outcome, (times, carried))) in
            tasks.zip(outcomes.outcomes.into_iter().zip(costs))
        {
            let outcome = match outcome {
                Ok(result) => self.in_time(index, times).map(|()| {
                    let origin = self.stopwatch.origin();
                    let record =
                        TaskRecord::new(index, pid, thread.clone(), times, carried, origin);
                    (result, record)
                }),
                Err(Failure::Panicked(_)) if self.tries_again(index) => continue,
                Err(Failure::Panicked(message)) => Err(Error::panic(index, &thread, pid, &message)),
                Err(Failure::NoState(reason)) => Err(Error::state(index, reason)),
                Err(Failure::NotCarried(reason)) => Err(Error::result(index, reason)),
            };
            self.settle(index, outcome, each);
        }
    }

    /// A worker that could be stopped has been; of a thread this is the first that is heard.
    fn in_time(&self, index: usize, times: &TaskTimes) -> Result<(), Error> {
        match self.options.task_timeout {
            Some(limit) if times.wall > limit => Err(Error::task_timeout(
                index,
                limit,
                &format!("threads cannot be stopped: it ended after {:.3?}", times.wall),
            )),
            _ => Ok(()),
        }
    }

    /// Passes on the failure of a whole batch. Where tasks travelled with the one that is to blame,
    /// they are tried again, each alone.
    fn take_in_failure(
        &mut self,
        tasks: Range<usize>,
        error: Error,
        each: &mut impl FnMut(usize, Result<(S::Output, TaskRecord), Error>),
    ) {
        let is_retried = error.is_worker_death() && self.line.rules.keep_going;
        if is_retried && tasks.len() > 1 {
            self.again.extend(tasks.rev());
        } else if !(is_retried && self.tries_again(tasks.start)) {
            self.settle(tasks.start, Err(error), each);
            // None may be missing where each has its own outcome.
            for index in tasks.skip(1) {
                self.settle(index, Err(Error::lost(index)), each);
            }
        }
    }

    /// Counts a failure, and plans another attempt if the task has one left.
    fn tries_again(&mut self, index: usize) -> bool {
        if self.options.retries == 0 || self.is_stopped() {
            return false;
        }
        let failures = self.failures.entry(index).or_default();
        *failures += 1;
        let again = *failures <= self.options.retries;
        if again {
            self.again.push(index);
        }
        again
    }

    fn settle(
        &mut self,
        index: usize,
        outcome: Result<(S::Output, TaskRecord), Error>,
        each: &mut impl FnMut(usize, Result<(S::Output, TaskRecord), Error>),
    ) {
        self.counts.done += 1;
        self.source.forget(index);
        each(index, outcome);
    }

    /// Hands out nothing more, and has what runs stopped, where the pool can do that.
    fn stop(&mut self) {
        self.line.cancelled.store(true, Ordering::Relaxed);
        self.counts.all_sent = true;
        self.again.clear();
        self.leaves = self.pool.stop_unwanted();
    }

    fn is_stopped(&self) -> bool {
        self.line.cancelled.load(Ordering::Relaxed)
    }
}

impl<S: Source> Drop for Call<'_, S> {
    fn drop(&mut self) {
        if self.counts.under_way > 0 {
            self.line.cancelled.store(true, Ordering::Relaxed);
            self.pool.stop_unwanted();
        }
    }
}
