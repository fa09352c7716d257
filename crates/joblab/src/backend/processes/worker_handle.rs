//! One worker process as its parent sees it: starting it, talking to it, and telling how it ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::launch::Launch;
use crate::backend::remote::exit;
use crate::backend::remote::framing::{self, Broken, Decoder, Kind};
use crate::backend::remote::output::Lines;
use crate::backend::remote::packing::{PackedBatch, Packer, Piece, Pieces};
use crate::backend::remote::printer::Printer;
use crate::backend::remote::protocol::ReplyRead;
use crate::backend::remote::socket::{self, CHOKED, Socket};
use crate::batch::{JournalReader, Progress, RemoteWorker, Reply};
use crate::error::Error;
use crate::measure::Moment;
use crate::notebook::facts::is_evcxr;
use crate::os::{self, Stream};
use crate::shared::{Attached, Attachments, Files};

/// A batch is short where the worker would wait a good part of that time for the next one.
const SHORT: Duration = Duration::from_millis(5);
/// How many short batches a worker is sent ahead, so that it need not wait.
const AHEAD: usize = 4;
/// How long a task whose call has failed may go on before its worker is stopped: a worker that is
/// about to be free is worth more than a new one.
const GRACE: Duration = Duration::from_millis(20);
/// As many pieces as are written at once.
const PIECES: usize = 16;

/// Why a worker that runs a task is stopped.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// Nobody wants the task any more.
    Unwanted,
    /// The task took longer than this, which is its limit.
    Late(Duration),
}

/// A frame to be written, and the shared memory whose files go with it.
struct Outgoing {
    frame: Arc<Vec<u8>>,
    attachments: Attachments,
}

impl Outgoing {
    fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.attachments.iter().map(|attached| attached.segment.file())
    }
}

pub(super) struct WorkerHandle {
    pub(super) number: usize,
    child: Child,
    /// Whether it was made sure that it has ended.
    was_ended: bool,
    /// Can be read from when the process has ended.
    ended: Option<OwnedFd>,
    decoder: Decoder<Socket>,
    /// The files of the next reply.
    files: Files,
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
    /// How many batches it has answered.
    answered: u64,
    images_sent: usize,
    /// That of the images that it was started for.
    edition: u64,
    is_state_sent: bool,
    /// What is still to come of the last batch.
    pieces: Option<Pieces>,
    /// Why the running batch's argument could not be written to its end.
    torn: Option<Error>,
    outbox: VecDeque<Outgoing>,
    /// How much of the outbox's first piece is written.
    written: usize,
    /// Whether the system takes no more now, without a way to be told when it will.
    is_choked: bool,
    /// The batches that the worker has not answered, oldest first: that one is running.
    pub(super) batches: VecDeque<PackedBatch>,
    last_wall: Duration,
    /// Since when the oldest batch has been running: since all of it was sent, or the one before it
    /// was answered.
    running_since: Option<Moment>,
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
                is_choked: false,
                stdout,
                stderr,
                printer: Arc::clone(printer),
                started_for: Arc::downgrade(&batch.frame),
                started: Moment::now(),
                is_ready: false,
                journal: JournalReader::new().ok(),
                is_journal_sent: false,
                answered: 0,
                images_sent: 0,
                edition,
                is_state_sent: false,
                pieces: None,
                torn: None,
                outbox: VecDeque::new(),
                written: 0,
                batches: VecDeque::new(),
                last_wall: Duration::MAX,
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

    /// Whether it can be written to as soon as the socket has room.
    pub(super) fn waits_for_room(&self) -> bool {
        !self.outbox.is_empty() && !self.is_choked
    }

    /// When to try to write again, where the socket does not tell.
    pub(super) fn tries_again_in(&self) -> Option<Duration> {
        self.is_choked.then_some(CHOKED)
    }

    fn send(&mut self, frame: Arc<Vec<u8>>) {
        self.outbox.push_back(Outgoing { frame, attachments: Vec::new() });
    }

    fn send_files(&mut self, attachments: &[Attached]) {
        for (frame, some) in socket::frames_of_files(attachments) {
            self.outbox.push_back(Outgoing { frame: frame.into(), attachments: some.to_vec() });
        }
    }

    /// Whether it has nothing to do, and should not get anything: see [`Packer::edition`].
    pub(super) fn is_outdated(&self, edition: u64) -> bool {
        self.edition != edition && self.batches.is_empty()
    }

    /// How many more batches it makes sense to hand to this worker now. One whose output waits to be
    /// written gets none: there would be ever more of it.
    pub(super) fn room(&self, edition: u64) -> usize {
        let most = if self.last_wall < SHORT { AHEAD } else { 1 };
        let is_written = self.stdout.is_written() && self.stderr.is_written();
        if self.is_ready && self.edition == edition && self.pieces.is_none() && is_written {
            most.saturating_sub(self.batches.len())
        } else {
            0
        }
    }

    /// Hands over a batch; [`write`](Self::write) sends it.
    pub(super) fn assign(&mut self, mut batch: PackedBatch, packer: &Packer) {
        // What is sent before the worker is ready may be taken by the notebook's runtime.
        if !std::mem::replace(&mut self.is_journal_sent, true)
            && let Some(journal) = &self.journal
        {
            let segment = Arc::clone(journal.segment());
            self.send_files(&[Attached { segment, written: Vec::new() }]);
            self.send(Arc::new(framing::frame(Kind::Journal, &[])));
        }
        for image in packer.frames_from(self.images_sent) {
            self.send(image);
            self.images_sent += 1;
        }
        if batch.needs_state && !self.is_state_sent {
            if let Some(state) = &packer.state {
                self.send_files(&packer.state_attachments);
                self.send(Arc::clone(state));
            }
            self.is_state_sent = true;
        }
        self.send_files(&batch.attachments);
        self.send(Arc::clone(&batch.frame));
        self.pieces = batch.pieces.take();
        self.batches.push_back(batch);
    }

    /// Takes in what the caller has written meanwhile.
    pub(super) fn collect_pieces(&mut self) {
        while let Some(pieces) = &self.pieces {
            match (pieces.try_recv(), self.batches.front_mut()) {
                (Ok(Piece::Frame(part)), _) => self.send(Arc::new(part)),
                (Ok(Piece::Attachments(more)), Some(batch)) => {
                    batch.attachments.extend_from_slice(&more);
                    self.send_files(&more);
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
        self.is_choked = false;
        while !self.outbox.is_empty() {
            let mut skip = self.written;
            // Files go with the first byte of what is written.
            let next_files =
                |(place, piece): &(usize, &Outgoing)| *place == 0 || piece.attachments.is_empty();
            let pieces: Vec<IoSlice<'_>> = self
                .outbox
                .iter()
                .take(PIECES)
                .enumerate()
                .take_while(next_files)
                .map(|(_, piece)| IoSlice::new(&piece.frame[std::mem::take(&mut skip)..]))
                .collect();
            let files: Vec<BorrowedFd<'_>> = match self.outbox.front() {
                Some(first) if self.written == 0 => first.files().collect(),
                _ => Vec::new(),
            };
            match os::send(self.socket().as_fd(), &pieces, &files) {
                Ok(length) => self.written += length,
                Err(error) => {
                    self.is_choked = !files.is_empty() && error.kind() == ErrorKind::WouldBlock;
                    return;
                }
            }
            while let Some(first) = self.outbox.front()
                && self.written >= first.frame.len()
            {
                self.written -= first.frame.len();
                self.outbox.pop_front();
            }
        }
        if !self.batches.is_empty() && self.pieces.is_none() {
            self.running_since.get_or_insert_with(Moment::now);
        }
    }

    /// Reads and passes on what came in before the process ended, and says how that was. Others that
    /// a task has started may hold its socket open.
    pub(super) fn read_the_last(&mut self) -> String {
        match self.read_until(|_| false) {
            Ok(()) => self.end(),
            Err(how) => how,
        }
    }

    /// Reads and passes on all answers that have come in. The error says how the process ended.
    pub(super) fn read(&mut self) -> Result<(), String> {
        // What comes later is told of later: asking for it would cost as much as an answer.
        self.read_until(Decoder::is_drained)
    }

    /// Does so until there is nothing more, or that is enough.
    fn read_until(&mut self, is_enough: impl Fn(&Decoder<Socket>) -> bool) -> Result<(), String> {
        let mut messages = Vec::new();
        let end = loop {
            match self.decoder.next() {
                Ok(None) => break None,
                Ok(Some((Kind::Hello, _))) if !self.is_ready => self.is_ready = true,
                Ok(Some((Kind::Files, body))) => match self.decoder.get_mut().take_files(&body) {
                    Some(files) => self.files.extend(files),
                    None => break Some(Broken::Foreign("it announces files that did not come")),
                },
                Ok(Some((Kind::Reply, message))) => {
                    messages.push((message, std::mem::take(&mut self.files)));
                }
                Ok(Some(_)) => {
                    break Some(Broken::Foreign("it is of a kind that only its parent sends"));
                }
                Err(broken) => break Some(broken),
            }
            if is_enough(&self.decoder) {
                break None;
            }
        };
        self.pass_on(messages)?;
        match end {
            None => Ok(()),
            Some(Broken::Closed) => Err(self.end()),
            Some(Broken::Foreign(what)) => {
                Err(self.confused(&format!("something else wrote to its private socket: {what}")))
            }
            Some(Broken::Io(error)) => Err(self.confused(&error.to_string())),
        }
    }

    /// Passes on the answers to the oldest batches.
    fn pass_on(&mut self, messages: Vec<(Vec<u8>, Files)>) -> Result<(), String> {
        if messages.is_empty() {
            return Ok(());
        }
        // What the batches printed was written before their answers were. A line that the last one
        // left open goes on with what the next one prints, if that is under way.
        let is_idle = self.batches.len() <= messages.len();
        self.stdout.catch_up(is_idle);
        self.stderr.catch_up(is_idle);
        for (message, files) in messages {
            let Some(batch) = self.batches.pop_front() else {
                return Err(self.confused("it answered a batch that it had not been given"));
            };
            self.answered += 1;
            let is_next_sent = !self.batches.is_empty() && self.outbox.is_empty();
            self.running_since = is_next_sent.then(Moment::now);
            if let Err(batch) = self.answer(batch, message, files) {
                self.batches.push_front(batch);
                self.answered -= 1;
                return Err(self.confused("its answer could not be read"));
            }
        }
        Ok(())
    }

    /// Reports an answer to the call that awaits it, or gives the batch back.
    fn answer(
        &mut self,
        batch: PackedBatch,
        message: Vec<u8>,
        files: Files,
    ) -> Result<(), PackedBatch> {
        if let Some(error) = self.torn.take() {
            self.after_output(|| batch.into_completion().failed(error));
            return Ok(());
        }
        match ReplyRead::read(&message) {
            Some(ReplyRead::Done { wall, outcomes, files: count }) if count == files.len() => {
                self.last_wall = wall;
                if !files.is_empty() {
                    self.send(Arc::new(framing::frame(Kind::Taken, &[])));
                    self.write();
                }
                let worker = RemoteWorker::process(self.pid());
                let reply = Reply { worker, message, outcomes, files };
                self.after_output(|| batch.into_completion().replied(reply));
            }
            Some(ReplyRead::NoFunction(reason)) => {
                let first = batch.completion.tasks().start;
                batch.into_completion().failed(Error::function(first, reason));
            }
            Some(ReplyRead::Done { .. }) | None => return Err(batch),
        }
        Ok(())
    }

    /// Does something once what the worker has printed is written.
    pub(super) fn after_output(&self, then: impl FnOnce() + Send + 'static) {
        self.printer.after(self.stdout.printed().max(self.stderr.printed()), then);
    }

    /// How far the worker, which has ended, came with the batch that it has not answered.
    pub(super) fn progress(&self) -> Progress {
        self.journal.as_ref().map_or(Progress::Unknown, |journal| journal.progress(self.answered))
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
            self.send(Arc::new(framing::frame(Kind::Finish, &[])));
            self.write();
        }
        finishes
    }

    /// Ends a worker that is not to be trusted any more.
    fn confused(&mut self, what: &str) -> String {
        self.end();
        format!("was stopped because {what}")
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
