//! One worker process as its parent sees it: starting it, talking to it, and telling how it ended.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::launch::Launch;
use super::outbox::Outbox;
use crate::backend::remote::exit;
use crate::backend::remote::framing::{self, Decoder, Kind};
use crate::backend::remote::long_replies::LongReplyReceiver;
use crate::backend::remote::output::Lines;
use crate::backend::remote::packing::{PackedBatch, Packer, Piece, Pieces};
use crate::backend::remote::printer::Printer;
use crate::backend::remote::protocol;
use crate::backend::remote::socket::Socket;
use crate::batch::{CallShared, JournalReader, SHORT, WorkerProgress};
use crate::error::Error;
use crate::measure::Moment;
use crate::notebook::facts::is_evcxr;
use crate::os::{self, Stream};
use crate::shared::{Attached, Files, Lane, Segment, Told};

/// How many short batches a worker is sent ahead, so that it need not wait.
const AHEAD: usize = 4;
/// How long a task whose call has failed may go on before its worker is stopped: a worker that is
/// about to be free is worth more than a new one.
const GRACE: Duration = Duration::from_millis(20);

/// Why a worker that runs a task is stopped.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// Nobody wants the task any more.
    Unwanted,
    /// The task took longer than this, which is its limit.
    Late(Duration),
}

pub(super) struct WorkerHandle {
    pub(super) number: usize,
    child: Child,
    /// Whether it was made sure that it has ended.
    was_ended: bool,
    /// Can be read from when the process has ended.
    ended: Option<OwnedFd>,
    pub(super) decoder: Decoder<Socket>,
    /// The files of the next reply.
    pub(super) files: Files,
    pub(super) stdout: Lines<ChildStdout>,
    pub(super) stderr: Lines<ChildStderr>,
    printer: Arc<Printer>,
    /// The batch for which it was started.
    pub(super) started_for: Weak<Vec<u8>>,
    started: Moment,
    /// Whether the worker has said that it is ready.
    pub(super) is_ready: bool,
    /// What the worker notes, as soon as it has that. None where the system has no memory for it.
    journal: Option<JournalReader>,
    is_journal_sent: bool,
    is_lane_sent: bool,
    /// Of the pool's lane.
    told: Told,
    pub(super) long_replies: LongReplyReceiver,
    /// How many batches it has answered.
    pub(super) answered: u64,
    images_sent: usize,
    /// That of the images that it was started for.
    edition: u64,
    is_state_sent: bool,
    /// What is still to come of the last batch.
    pub(super) pieces: Option<Pieces>,
    /// Why the running batch's argument could not be written to its end.
    pub(super) torn: Option<Error>,
    pub(super) outbox: Outbox,
    /// The batches that the worker has not answered, oldest first: that one is running.
    pub(super) batches: VecDeque<PackedBatch>,
    pub(super) last_wall: Duration,
    /// The call of the last batch that it has answered.
    pub(super) last_call: Weak<CallShared>,
    /// Since when the oldest batch has been running: since all of it was sent, or the one before it
    /// was answered.
    pub(super) running_since: Option<Moment>,
    /// Since when the task that runs is one that nobody wants any more.
    unwanted_since: Option<Moment>,
}

impl WorkerHandle {
    /// Starts the running program again, to be a worker, since there is a batch for one.
    pub(super) fn start(
        launch: &Launch,
        number: usize,
        edition: u64,
        batch: &PackedBatch,
        printer: &Arc<Printer>,
    ) -> Result<WorkerHandle, String> {
        let (mut child, ours) = launch.start(number)?;
        let ended = os::end_of(child.id());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let streams = (|| -> io::Result<_> {
            ours.set_nonblocking(true)?;
            let (stdout, stderr) = (stdout.expect("piped"), stderr.expect("piped"));
            let stdout = Lines::new(stdout, Stream::Stdout, is_evcxr(), printer)?;
            let stderr = Lines::new(stderr, Stream::Stderr, is_evcxr(), printer)?;
            Ok((stdout, stderr))
        })();
        match streams {
            Ok((stdout, stderr)) => Ok(WorkerHandle {
                number,
                child,
                was_ended: false,
                ended,
                decoder: Decoder::new(Socket::new(ours)),
                files: Vec::new(),
                stdout,
                stderr,
                printer: Arc::clone(printer),
                started_for: Arc::downgrade(&batch.frame),
                started: Moment::now(),
                is_ready: false,
                journal: JournalReader::new().ok(),
                is_journal_sent: false,
                is_lane_sent: false,
                told: Told::default(),
                long_replies: LongReplyReceiver::default(),
                answered: 0,
                images_sent: 0,
                edition,
                is_state_sent: false,
                pieces: None,
                torn: None,
                outbox: Outbox::default(),
                batches: VecDeque::new(),
                last_wall: Duration::MAX,
                last_call: Weak::new(),
                running_since: None,
                unwanted_since: None,
            }),
            Err(error) => {
                exit::end(&mut child);
                Err(error.to_string())
            }
        }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        self.decoder.get_ref().stream()
    }

    /// What can be read from when the process has ended, where the system has that.
    pub(super) fn ended(&self) -> Option<BorrowedFd<'_>> {
        self.ended.as_ref().map(AsFd::as_fd)
    }

    /// Whether the process has ended, where [`ended`](Self::ended) cannot tell.
    pub(super) fn has_ended(&mut self) -> bool {
        self.ended.is_none() && !self.goes_on()
    }

    /// Whether the process has not ended, as the system says when it is asked.
    pub(super) fn goes_on(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it has nothing to do, and should not get anything: see [`Packer::edition`].
    pub(super) fn is_outdated(&self, edition: u64) -> bool {
        self.edition != edition && self.batches.is_empty()
    }

    /// How many more batches of a call it makes sense to hand to this worker now. One whose output waits to
    /// be written gets none: there would be ever more of it.
    pub(super) fn room(&self, edition: u64, call: &Arc<CallShared>) -> usize {
        // What was short in another call says nothing of tasks of which the first are the dearest.
        let is_known =
            call.order.is_lists_own() || std::ptr::eq(self.last_call.as_ptr(), Arc::as_ptr(call));
        let most = if is_known && self.last_wall < SHORT { AHEAD } else { 1 };
        let is_written = self.stdout.is_written() && self.stderr.is_written();
        if self.is_ready && self.edition == edition && self.pieces.is_none() && is_written {
            most.saturating_sub(self.batches.len())
        } else {
            0
        }
    }

    /// Hands over a batch; [`write`](Self::write) sends it.
    pub(super) fn assign(
        &mut self,
        mut batch: PackedBatch,
        packer: &Packer,
        lane: Option<&Arc<Lane>>,
    ) {
        // What is sent before the worker is ready may be taken by the notebook's runtime.
        if !std::mem::replace(&mut self.is_journal_sent, true)
            && let Some(journal) = &self.journal
        {
            self.send_file(Arc::clone(journal.segment()), Kind::Journal);
        }
        if let Some(lane) = lane.filter(|_| batch.is_in_parts)
            && !std::mem::replace(&mut self.is_lane_sent, true)
        {
            self.send_file(Arc::clone(lane.segment()), Kind::Lane);
        }
        for image in packer.frames_from(self.images_sent) {
            self.outbox.send(image);
            self.images_sent += 1;
        }
        if batch.needs_state && !self.is_state_sent {
            if let Some(state) = &packer.state {
                self.outbox.send_files(&packer.state_attachments);
                self.outbox.send(Arc::clone(state));
            }
            self.is_state_sent = true;
        }
        self.outbox.send_files(&batch.attachments);
        self.outbox.send(Arc::clone(&batch.frame));
        self.pieces = batch.pieces.take();
        self.batches.push_back(batch);
    }

    /// Sends shared memory that is for the worker itself, and what it is for.
    pub(super) fn send_file(&mut self, segment: Arc<Segment>, what_for: Kind) {
        self.outbox.send_files(&[Attached { segment, written: Vec::new() }]);
        self.outbox.send(Arc::new(framing::frame(what_for, &[])));
    }

    /// Takes in what the caller has written meanwhile.
    pub(super) fn collect_pieces(&mut self) {
        while let Some(pieces) = &self.pieces {
            match (pieces.try_recv(), self.batches.front_mut()) {
                (Ok(Piece::Frame(part)), _) => self.outbox.send(Arc::new(part)),
                (Ok(Piece::Slot(filled)), Some(_)) => {
                    self.outbox.send(Arc::new(protocol::slot(filled.place())));
                    self.told.push(filled);
                }
                (Ok(Piece::Attachments(more)), Some(batch)) => {
                    batch.attachments.extend_from_slice(&more);
                    self.outbox.send_files(&more);
                }
                (Ok(Piece::Torn(error)), Some(_)) => self.torn = Some(error),
                // It is answered already.
                (Ok(_), None) => {}
                (Err(TryRecvError::Empty), _) => return,
                (Err(TryRecvError::Disconnected), _) => self.pieces = None,
            }
        }
    }

    /// Writes as much as the worker takes now. That its process has ended is found out by reading.
    pub(super) fn write(&mut self) {
        self.collect_pieces();
        self.outbox.write(self.decoder.get_ref().stream().as_fd());
        if self.outbox.is_empty() && !self.batches.is_empty() && self.pieces.is_none() {
            self.running_since.get_or_insert_with(Moment::now);
        }
    }

    /// Does something once what the worker has printed is written.
    pub(super) fn after_output(&self, then: impl FnOnce() + Send + 'static) {
        self.printer.after(self.stdout.printed().max(self.stderr.printed()), then);
    }

    /// How far the worker, which has ended, came with the batch that it has not answered.
    pub(super) fn progress(&self) -> WorkerProgress {
        self.journal
            .as_ref()
            .map_or(WorkerProgress::Unknown, |journal| journal.progress(self.answered))
    }

    /// How much longer the task that runs may go on, and why not for ever.
    pub(super) fn time_left(&mut self) -> Option<(Duration, Why)> {
        let running = self.batches.front()?;
        if running.completion.is_wanted() {
            self.unwanted_since = None;
            let limit = running.completion.task_timeout()?;
            let ran = self.running_since?.elapsed();
            return Some((limit.saturating_sub(ran), Why::Late(limit)));
        }
        let since = self.unwanted_since.get_or_insert_with(Moment::now);
        Some((GRACE.saturating_sub(since.elapsed()), Why::Unwanted))
    }

    /// Has the worker drop its state and end, where it has one and is not busy. False where there is
    /// nothing to wait for.
    pub(super) fn finish(&mut self) -> bool {
        let finishes = self.is_state_sent && self.batches.is_empty();
        if finishes {
            self.outbox.send(Arc::new(framing::frame(Kind::Finish, &[])));
            self.write();
        }
        finishes
    }

    /// For how long it has been starting.
    pub(super) fn starting_for(&self) -> Option<Duration> {
        (!self.is_ready).then(|| self.started.elapsed())
    }

    /// Makes sure that the process has ended, and says how it did. Where it was running a task, what
    /// that has started ends too.
    pub(super) fn end(&mut self) -> String {
        // Once it has been waited for, the group's number may be another one's.
        if !self.batches.is_empty() && !std::mem::replace(&mut self.was_ended, true) {
            os::kill_group(self.child.id());
        }
        let how = exit::end(&mut self.child);
        self.stdout.catch_up(true);
        self.stderr.catch_up(true);
        how
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.end();
    }
}
