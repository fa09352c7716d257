//! A batch on its way to a worker and back: what every backend is handed, and what comes home.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use super::input::Calls;
use crate::backend::{Answer, Job, Packed};
use crate::batch::{self, Outcomes};
use crate::error::Error;
use crate::task::Data;
use crate::{trampoline, worker};

/// What a worker reports when a batch has ended.
pub(super) struct Event<R> {
    pub(super) tasks: Range<usize>,
    pub(super) ended: Result<Ended<R>, Error>,
}

/// A batch's outcomes, on their way home.
pub(super) enum Ended<R> {
    Here(EndedHere<R>),
    /// The message of a worker process, and where in it the outcomes begin.
    Packed {
        pid: u32,
        message: Vec<u8>,
        outcomes: usize,
    },
}

/// A batch's outcomes, and who ran it.
pub(super) struct EndedHere<R> {
    pub(super) outcomes: Outcomes<R>,
    pub(super) pid: u32,
    pub(super) thread: String,
}

impl<R: Data> Ended<R> {
    pub(super) fn unpack(self, tasks: &Range<usize>) -> Result<EndedHere<R>, Error> {
        match self {
            Ended::Here(ended) => Ok(ended),
            Ended::Packed {
                pid,
                message,
                outcomes,
            } => {
                let outcomes = batch::read_outcomes(&message[outcomes..])
                    .ok_or_else(|| Error::result(tasks.start, "the worker's message is torn"))?;
                let thread = worker::MAIN_THREAD.to_owned();
                Ok(EndedHere {
                    outcomes,
                    pid,
                    thread,
                })
            }
        }
    }
}

/// Tasks of one function, with all that they need to be run and answered.
pub(super) struct Batch<A, R> {
    pub(super) calls: Calls<A, R>,
    pub(super) way_home: WayHome<R>,
}

/// Whom to tell what became of a batch.
pub(super) struct WayHome<R> {
    pub(super) tasks: Range<usize>,
    pub(super) events: Sender<Event<R>>,
    pub(super) cancelled: Arc<AtomicBool>,
}

impl<R> WayHome<R> {
    fn is_wanted(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed)
    }

    fn report(self, ended: Result<Ended<R>, Error>) {
        let tasks = self.tasks;
        // A caller that has gone away needs no answer.
        let _ = self.events.send(Event { tasks, ended });
    }
}

impl<A: Data, R: Data> Job for Batch<A, R> {
    fn run(self: Box<Self>) {
        let Batch { calls, way_home } = *self;
        if !way_home.is_wanted() {
            return;
        }
        let outcomes = batch::run(calls.f, calls.arguments, || way_home.is_wanted());
        way_home.report(Ok(Ended::Here(EndedHere {
            outcomes,
            pid: std::process::id(),
            thread: worker::thread_name(),
        })));
    }

    fn pack(self: Box<Self>, mut message: Vec<u8>) -> Result<Packed, Error> {
        let Batch { calls, way_home } = *self;
        for (index, argument) in way_home.tasks.clone().zip(calls.arguments) {
            batch::write_argument(&argument, &mut message)
                .map_err(|reason| Error::argument(index, reason))?;
        }
        Ok(Packed {
            message,
            function: calls.f as usize,
            trampoline: trampoline::address_of::<A, R>(),
            answer: Box::new(way_home),
        })
    }
}

impl<R: Data> Answer for WayHome<R> {
    fn tasks(&self) -> Range<usize> {
        self.tasks.clone()
    }

    fn is_wanted(&self) -> bool {
        WayHome::is_wanted(self)
    }

    fn done(self: Box<Self>, pid: u32, message: Vec<u8>, outcomes: usize) {
        self.report(Ok(Ended::Packed {
            pid,
            message,
            outcomes,
        }));
    }

    fn failed(self: Box<Self>, error: Error) {
        self.report(Err(error));
    }
}
