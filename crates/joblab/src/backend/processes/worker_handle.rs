//! One worker process as its parent sees it: starting it, talking to it, and telling how it ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::launch::Launch;
use crate::backend::remote::exit;
use crate::backend::remote::framing::{self, Broken, Decoder, Kind};
use crate::backend::remote::output::{Lines, Target};
use crate::backend::remote::packing::{PackedBatch, Packer, Piece, Pieces};
use crate::backend::remote::worker_main::Verdict;
use crate::batch::{RemoteWorker, Reply};
use crate::codec::Fields;
use crate::error::Error;
use crate::measure::Moment;
use crate::os;
use crate::shared::{self, TakenFiles};

/// A batch is short where the worker would wait a good part of that time for the next one.
const SHORT: Duration = Duration::from_millis(5);
/// So many short batches are sent ahead, so that a worker need not wait.
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

pub(super) struct WorkerHandle {
    pub(super) number: usize,
    child: Child,
    /// Whether it was made sure that it has.
    has_ended: bool,
    decoder: Decoder<UnixStream>,
    pub(super) stdout: Lines<ChildStdout>,
    pub(super) stderr: Lines<ChildStderr>,
    /// The batch for which it was started.
    pub(super) started_for: Weak<Vec<u8>>,
    started: Moment,
    /// Whether the worker has said that it is ready.
    pub(super) is_ready: bool,
    images_sent: usize,
    /// That of the images that it was started for.
    edition: u64,
    is_state_sent: bool,
    /// What is still to come of the last batch.
    pieces: Option<Pieces>,
    /// Why the running batch's argument could not be written to its end.
    torn: Option<Error>,
    outbox: VecDeque<Arc<Vec<u8>>>,
    /// How much of the outbox's first piece is written.
    written: usize,
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
    ) -> Result<WorkerHandle, String> {
        let (mut child, ours) = launch.start(number)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let streams = (|| -> io::Result<_> {
            ours.set_nonblocking(true)?;
            let stdout = Lines::new(stdout.expect("piped"), Target::Stdout)?;
            let stderr = Lines::new(stderr.expect("piped"), Target::Stderr)?;
            Ok((stdout, stderr))
        })();
        match streams {
            Ok((stdout, stderr)) => Ok(WorkerHandle {
                number,
                child,
                has_ended: false,
                decoder: Decoder::new(ours),
                stdout,
                stderr,
                started_for: Arc::downgrade(&batch.frame),
                started: Moment::now(),
                is_ready: false,
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
        self.decoder.get_ref()
    }

    pub(super) fn has_to_write(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether it has nothing to do, and should not get anything: see [`Packer::edition`].
    pub(super) fn is_outdated(&self, edition: u64) -> bool {
        self.edition != edition && self.batches.is_empty()
    }

    /// How many more batches it makes sense to hand to this worker now.
    pub(super) fn room(&self, edition: u64) -> usize {
        let most = if self.last_wall < SHORT { AHEAD } else { 1 };
        if self.is_ready && self.edition == edition && self.pieces.is_none() {
            most.saturating_sub(self.batches.len())
        } else {
            0
        }
    }

    /// Hands over a batch; [`write`](Self::write) sends it.
    pub(super) fn assign(&mut self, mut batch: PackedBatch, packer: &Packer) {
        for image in packer.frames_from(self.images_sent) {
            self.outbox.push_back(image);
            self.images_sent += 1;
        }
        if batch.needs_state && !self.is_state_sent {
            self.outbox.extend(packer.state.clone());
            self.is_state_sent = true;
        }
        self.outbox.push_back(Arc::clone(&batch.frame));
        self.pieces = batch.pieces.take();
        self.batches.push_back(batch);
    }

    /// Takes in what the caller has written meanwhile.
    pub(super) fn collect_pieces(&mut self) {
        while let Some(pieces) = &self.pieces {
            match (pieces.try_recv(), self.batches.front_mut()) {
                (Ok(Piece::Frame(part)), _) => self.outbox.push_back(Arc::new(part)),
                (Ok(Piece::Attachments(more)), Some(batch)) => batch.attachments.extend(more),
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
        while !self.outbox.is_empty() {
            let mut skip = self.written;
            let pieces: Vec<IoSlice<'_>> = self
                .outbox
                .iter()
                .take(PIECES)
                .map(|piece| IoSlice::new(&piece[std::mem::take(&mut skip)..]))
                .collect();
            match self.decoder.get_ref().write_vectored(&pieces) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            while let Some(first) = self.outbox.front()
                && self.written >= first.len()
            {
                self.written -= first.len();
                self.outbox.pop_front();
            }
        }
        if !self.batches.is_empty() && self.pieces.is_none() {
            self.running_since.get_or_insert_with(Moment::now);
        }
    }

    /// Reads and passes on all answers that have come in. The error says how the process ended.
    pub(super) fn read(&mut self) -> Result<(), String> {
        let mut messages = Vec::new();
        let end = loop {
            match self.decoder.next() {
                Ok(None) => break None,
                Ok(Some((Kind::Hello, _))) if !self.is_ready => self.is_ready = true,
                Ok(Some((Kind::Reply, message))) => messages.push(message),
                Ok(Some(_)) => {
                    break Some(Broken::Foreign("it is of a kind that only its parent sends"));
                }
                Err(broken) => break Some(broken),
            }
            // What comes later is told of later: asking for it would cost as much as an answer.
            if self.decoder.is_drained() {
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
    fn pass_on(&mut self, messages: Vec<Vec<u8>>) -> Result<(), String> {
        if messages.is_empty() {
            return Ok(());
        }
        // What the batches printed was written before their answers were. A line that the last one
        // left open goes on with what the next one prints, if that is under way.
        let is_idle = self.batches.len() <= messages.len();
        self.stdout.catch_up(is_idle);
        self.stderr.catch_up(is_idle);
        for message in messages {
            let Some(batch) = self.batches.pop_front() else {
                return Err(self.confused("it answered a batch that it had not been given"));
            };
            let is_next_sent = !self.batches.is_empty() && self.outbox.is_empty();
            self.running_since = is_next_sent.then(Moment::now);
            if let Err(batch) = self.answer(batch, message) {
                self.batches.push_front(batch);
                return Err(self.confused("its answer could not be read"));
            }
        }
        Ok(())
    }

    /// Reports an answer to the call that awaits it, or gives the batch back.
    fn answer(&mut self, batch: PackedBatch, message: Vec<u8>) -> Result<(), PackedBatch> {
        if let Some(error) = self.torn.take() {
            batch.into_completion().failed(error);
            return Ok(());
        }
        let mut fields = Fields(&message);
        match fields.u64().and_then(Verdict::from_u64) {
            Some(Verdict::Done) => {
                let Some(wall) = fields.u64() else {
                    return Err(batch);
                };
                self.last_wall = Duration::from_nanos(wall);
                let outcomes = message.len() - fields.0.len();
                let pid = self.child.id();
                let Some(taken) = take_over(pid, fields.0) else {
                    return Err(batch);
                };
                if !taken.is_empty() {
                    self.outbox.push_back(Arc::new(framing::frame(Kind::Taken, &[])));
                    self.write();
                }
                batch.into_completion().replied(Reply {
                    worker: RemoteWorker::process(pid),
                    message,
                    outcomes,
                    taken,
                });
            }
            Some(Verdict::NoFunction) => {
                let reason = String::from_utf8_lossy(fields.0).into_owned();
                let first = batch.completion.tasks().start;
                batch.into_completion().failed(Error::function(first, reason));
            }
            None => return Err(batch),
        }
        Ok(())
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
        if !self.batches.is_empty() && !std::mem::replace(&mut self.has_ended, true) {
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

/// Takes over the shared memory that a reply lists at its end. What cannot be had is left out, and
/// missed when the result is read.
fn take_over(pid: u32, reply: &[u8]) -> Option<TakenFiles> {
    let (rest, number) = reply.split_last_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*number)).ok()?.checked_mul(4)?;
    let (descriptors, []) = rest[rest.len().checked_sub(length)?..].as_chunks() else {
        return None;
    };
    let take = |descriptor: &[u8; 4]| {
        let descriptor = i32::from_le_bytes(*descriptor);
        Some((descriptor, shared::take_file(pid, descriptor).ok()?))
    };
    Some(descriptors.iter().filter_map(take).collect())
}
