//! One worker process as its parent sees it: starting it, talking to it, and telling how it ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::backend::remote::exit;
use crate::backend::remote::framing::{self, Broken, Decoder, Kind};
use crate::backend::remote::images::Image;
use crate::backend::remote::output::Lines;
use crate::backend::remote::packing::{PackedBatch, Packer, Piece, Pieces};
use crate::backend::remote::printer::Printer;
use crate::backend::remote::protocol::ReplyRead;
use crate::backend::remote::worker_main;
use crate::batch::{RemoteWorker, Reply};
use crate::error::Error;
use crate::measure::Moment;
use crate::notebook::facts::is_evcxr;
use crate::os::{PROCESS_NAME, Stream};
use crate::shared::{self, TakenFiles};

/// Libraries that would start threads of their own in each worker read these; with n_jobs workers
/// they should share the CPUs. joblib/_parallel_backends.py, MAX_NUM_THREADS_VARS, and rayon's.
const THREAD_VARIABLES: [&str; 8] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];
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

pub(super) struct WorkerHandle {
    pub(super) number: usize,
    child: Child,
    decoder: Decoder<UnixStream>,
    pub(super) stdout: Lines<ChildStdout>,
    pub(super) stderr: Lines<ChildStderr>,
    printer: Arc<Printer>,
    /// The batch for which it was started.
    pub(super) started_for: Weak<Vec<u8>>,
    /// Whether the worker has said that it is ready.
    pub(super) is_ready: bool,
    images_sent: usize,
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
        number: usize,
        threads: usize,
        batch: &PackedBatch,
        printer: &Arc<Printer>,
    ) -> Result<WorkerHandle, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
        // However the file was renamed or replaced meanwhile, this is the program that runs.
        let mut command = Command::new("/proc/self/exe");
        if is_evcxr() {
            let (image, _) = Image::of_address(worker_main::entry_address())?;
            // What the kernel writes to its runtime for each cell.
            let line = format!("LOAD_AND_RUN {} {}\n", image.path, worker_main::ENTRY);
            (&ours).write_all(line.as_bytes()).map_err(|error| error.to_string())?;
            // evcxr asks for backtraces, and those of several workers would hide the panics' words.
            command.env("RUST_BACKTRACE", "0");
        } else {
            command.env(worker_main::VARIABLE, "1");
        }
        command.env(PROCESS_NAME, format!("WorkerProcess-{number}"));
        for variable in THREAD_VARIABLES {
            if std::env::var_os(variable).is_none() {
                command.env(variable, threads.to_string());
            }
        }
        // The socket is the worker's standard input, so that it needs no inherited descriptor of
        // a number of its own; pipes of its own keep it from holding ours open.
        let mut child = command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
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
                decoder: Decoder::new(ours),
                stdout,
                stderr,
                printer: Arc::clone(printer),
                started_for: Arc::downgrade(&batch.frame),
                is_ready: false,
                images_sent: 0,
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

    /// How many more batches it makes sense to hand to this worker now. One whose output waits to be
    /// written gets none: there would be ever more of it.
    pub(super) fn room(&self) -> usize {
        let most = if self.last_wall < SHORT { AHEAD } else { 1 };
        let is_written = self.stdout.is_written() && self.stderr.is_written();
        if self.is_ready && self.pieces.is_none() && is_written {
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
            self.after_output(|| batch.into_completion().failed(error));
            return Ok(());
        }
        match ReplyRead::read(&message) {
            Some(ReplyRead::Done { wall, outcomes, descriptors }) => {
                self.last_wall = wall;
                let pid = self.child.id();
                let taken = take_over(pid, &descriptors);
                if !taken.is_empty() {
                    self.outbox.push_back(Arc::new(framing::frame(Kind::Taken, &[])));
                    self.write();
                }
                let worker = RemoteWorker::process(pid);
                let reply = Reply { worker, message, outcomes, taken };
                self.after_output(|| batch.into_completion().replied(reply));
            }
            Some(ReplyRead::NoFunction(reason)) => {
                let first = batch.completion.tasks().start;
                batch.into_completion().failed(Error::function(first, reason));
            }
            None => return Err(batch),
        }
        Ok(())
    }

    /// Does something once what the worker has printed is written.
    pub(super) fn after_output(&self, then: impl FnOnce() + Send + 'static) {
        self.printer.after(self.stdout.printed().max(self.stderr.printed()), then);
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

    /// Makes sure that the process has ended, and says how it did.
    pub(super) fn end(&mut self) -> String {
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

/// Takes over the shared memory of a reply. What cannot be had is left out, and missed when the
/// result is read.
fn take_over(pid: u32, descriptors: &[i32]) -> TakenFiles {
    let take = |&descriptor| Some((descriptor, shared::take_file(pid, descriptor).ok()?));
    descriptors.iter().filter_map(take).collect()
}
