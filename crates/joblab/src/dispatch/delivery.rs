//! A batch on its way to a worker and back: what every backend is handed, and what comes home.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::backend::{Answer, Packed, Reply, Work};
use crate::batch::{self, Outcomes, Rules};
use crate::error::Error;
use crate::function::Function;
use crate::task::Data;
use crate::{travel, worker};

/// What a call waits for.
pub(crate) enum Event<R> {
    /// A batch has ended, well or not.
    Ended(Range<usize>, Result<Ended<R>, Error>),
    /// The call's token was cancelled.
    Cancelled,
}

/// A batch's outcomes, on their way home.
pub(crate) enum Ended<R> {
    Here(EndedHere<R>),
    Packed(Reply),
}

/// A batch's outcomes, and who ran it.
pub(crate) struct EndedHere<R> {
    pub(super) outcomes: Outcomes<R>,
    pub(super) pid: u32,
    pub(super) thread: Arc<str>,
}

/// Makes outcomes of a worker process's message.
pub(super) fn unpack<R: Data>(tasks: &Range<usize>, reply: Reply) -> Result<EndedHere<R>, Error> {
    let worker = reply.worker;
    let read = || batch::read_outcomes(&reply.message[reply.outcomes..]);
    let mut outcomes = travel::with_taken(worker.pid, reply.taken, read)
        .ok_or_else(|| Error::result(tasks.start, "the worker's message is torn"))?;
    for times in &mut outcomes.times {
        times.read_ahead(worker.clock_ahead);
    }
    Ok(EndedHere { outcomes, pid: worker.pid, thread: worker.thread })
}

/// What all batches of a call have in common.
pub(crate) struct Line<R> {
    pub(super) events: Sender<Event<R>>,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) rules: Rules,
    pub(super) time_limit: Option<Duration>,
}

impl<R> Line<R> {
    pub(super) fn way_home(&self, tasks: Range<usize>) -> WayHome<R> {
        WayHome {
            tasks,
            events: Some(self.events.clone()),
            cancelled: Arc::clone(&self.cancelled),
            time_limit: self.time_limit,
        }
    }
}

/// Whom to tell what became of a batch. Dropped untold, it tells that the batch is lost.
pub(super) struct WayHome<R> {
    tasks: Range<usize>,
    events: Option<Sender<Event<R>>>,
    cancelled: Arc<AtomicBool>,
    time_limit: Option<Duration>,
}

impl<R> WayHome<R> {
    /// Runs tasks in this thread, if they are still wanted, and tells.
    pub(super) fn run(mut self, run: impl FnOnce(&dyn Fn() -> bool) -> Outcomes<R>) {
        let is_wanted = || !self.cancelled.load(Ordering::Relaxed);
        if is_wanted() {
            let ended = EndedHere {
                outcomes: run(&is_wanted),
                pid: std::process::id(),
                thread: worker::thread_name().into(),
            };
            self.tell(Ok(Ended::Here(ended)));
        }
    }

    fn tell(&mut self, ended: Result<Ended<R>, Error>) {
        if let Some(events) = self.events.take() {
            // A caller that has gone away needs no answer.
            let _ = events.send(Event::Ended(self.tasks.clone(), ended));
        }
    }
}

impl<R> Drop for WayHome<R> {
    fn drop(&mut self) {
        if self.events.is_some() {
            self.tell(Err(Error::lost(self.tasks.start)));
        }
    }
}

/// Tasks of one function, with all that they need to be run and answered.
pub(super) struct Batch<F, A, R> {
    pub(super) function: F,
    pub(super) arguments: Vec<A>,
    pub(super) rules: Rules,
    pub(super) way_home: WayHome<R>,
}

impl<F: Function<A, R>, A: Data, R: Data> Work for Batch<F, A, R> {
    fn run(self: Box<Self>) {
        let Batch { function, arguments, rules, way_home } = *self;
        way_home.run(|is_wanted| function.run(arguments, &rules, is_wanted));
    }

    fn pack(self: Box<Self>, mut message: Vec<u8>, streams: bool) -> Result<Packed, Error> {
        let Batch { function, arguments, rules, way_home } = *self;
        rules.write(&mut message);
        let is_only = streams && arguments.len() == 1;
        let (mut kept, mut parts) = (Vec::new(), None);
        travel::collecting(&mut kept, || {
            for (index, argument) in way_home.tasks.clone().zip(arguments) {
                let written = match is_only {
                    true => batch::write_only_argument(argument, &mut message),
                    false => batch::write_argument(&argument, &mut message).map(|()| None),
                };
                parts = written.map_err(|reason| Error::argument(index, reason))?;
            }
            Ok(())
        })?;
        Ok(Packed {
            message,
            function: function.address(),
            trampoline: function.trampoline(),
            state: function.maker(),
            kept,
            answer: Box::new(way_home),
            parts,
        })
    }
}

impl<R: Data> Answer for WayHome<R> {
    fn tasks(&self) -> Range<usize> {
        self.tasks.clone()
    }

    fn is_wanted(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed)
    }

    fn time_limit(&self) -> Option<Duration> {
        self.time_limit
    }

    fn done(mut self: Box<Self>, reply: Reply) {
        self.tell(Ok(Ended::Packed(reply)));
    }

    fn failed(mut self: Box<Self>, error: Error) {
        self.tell(Err(error));
    }
}
