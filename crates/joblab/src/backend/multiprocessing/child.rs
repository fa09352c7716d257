//! One worker process as its parent sees it: starting it, talking to it, and telling how it ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::image::Image;
use super::lines::{Lines, Target};
use super::wire::{Broken, Decoder, Kind};
use super::worker::{self, Verdict};
use super::{Parcel, Shipping, is_evcxr};
use crate::batch::Fields;
use crate::error::Error;
use crate::timing::Moment;
use crate::worker::PROCESS_NAME;

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
/// So many short batches are sent ahead, so that a worker need not wait.
const AHEAD: usize = 4;
/// As many pieces as are written at once.
const PIECES: usize = 16;

pub(super) struct Worker {
    pub(super) number: usize,
    child: Child,
    decoder: Decoder<UnixStream>,
    pub(super) stdout: Lines<ChildStdout>,
    pub(super) stderr: Lines<ChildStderr>,
    /// Whether the worker has said that it is ready.
    pub(super) is_ready: bool,
    images_sent: usize,
    outbox: VecDeque<Arc<Vec<u8>>>,
    /// How much of the outbox's first piece is written.
    written: usize,
    /// The batches that the worker has not answered, oldest first: that one is running.
    pub(super) batches: VecDeque<Parcel>,
    last_wall: Duration,
    /// Since when the task that runs is one that nobody wants any more.
    unwanted_since: Option<Moment>,
}

impl Worker {
    /// Starts the running program again, to be a worker.
    pub(super) fn start(number: usize, threads: usize) -> Result<Worker, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
        // However the file was renamed or replaced meanwhile, this is the program that runs.
        let mut command = Command::new("/proc/self/exe");
        if is_evcxr() {
            let (image, _) = Image::of_address(worker::entry_address())?;
            // What the kernel writes to its runtime for each cell.
            let line = format!("LOAD_AND_RUN {} {}\n", image.path, worker::ENTRY);
            (&ours)
                .write_all(line.as_bytes())
                .map_err(|error| error.to_string())?;
        } else {
            command.env(worker::VARIABLE, "1");
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
            let stdout = Lines::new(stdout.expect("piped"), Target::Stdout)?;
            let stderr = Lines::new(stderr.expect("piped"), Target::Stderr)?;
            Ok((stdout, stderr))
        })();
        match streams {
            Ok((stdout, stderr)) => Ok(Worker {
                number,
                child,
                decoder: Decoder::new(ours),
                stdout,
                stderr,
                is_ready: false,
                images_sent: 0,
                outbox: VecDeque::new(),
                written: 0,
                batches: VecDeque::new(),
                last_wall: Duration::MAX,
                unwanted_since: None,
            }),
            Err(error) => {
                end(&mut child);
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

    /// How many more batches it makes sense to hand to this worker now.
    pub(super) fn room(&self) -> usize {
        let most = if self.last_wall < SHORT { AHEAD } else { 1 };
        if self.is_ready {
            most.saturating_sub(self.batches.len())
        } else {
            0
        }
    }

    /// Hands over a batch; [`write`](Self::write) sends it.
    pub(super) fn assign(&mut self, parcel: Parcel, shipping: &Shipping) {
        for image in shipping.frames_from(self.images_sent) {
            self.outbox.push_back(image);
            self.images_sent += 1;
        }
        self.outbox.push_back(Arc::clone(&parcel.frame));
        self.batches.push_back(parcel);
    }

    /// Writes as much as the worker takes now. That its process has ended is found out by reading.
    pub(super) fn write(&mut self) {
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
    }

    /// Reads and passes on all answers that have come in. The error says how the process ended.
    pub(super) fn read(&mut self) -> Result<(), String> {
        loop {
            match self.decoder.next() {
                Ok(None) => return Ok(()),
                Ok(Some((Kind::Hello, _))) if !self.is_ready => self.is_ready = true,
                Ok(Some((Kind::Reply, message))) => {
                    let Some(task) = self.batches.pop_front() else {
                        return Err(self.confused("it answered a batch that it had not been given"));
                    };
                    // What the batch printed was written before its answer was. A line that it left
                    // open goes on with what the next one prints, if that is under way.
                    let is_idle = self.batches.is_empty();
                    self.stdout.catch_up(is_idle);
                    self.stderr.catch_up(is_idle);
                    if let Err(task) = self.answer(task, message) {
                        self.batches.push_front(task);
                        return Err(self.confused("its answer could not be read"));
                    }
                }
                Ok(Some(_)) => return Err(self.confused("it sent what only its parent sends")),
                Err(Broken::Closed) => return Err(self.end()),
                Err(Broken::Foreign(what)) => {
                    return Err(self.confused(&format!(
                        "something else wrote to its private socket: {what}"
                    )));
                }
                Err(Broken::Io(error)) => return Err(self.confused(&error.to_string())),
            }
        }
    }

    /// Reports an answer to the call that awaits it, or gives the batch back.
    fn answer(&mut self, parcel: Parcel, message: Vec<u8>) -> Result<(), Parcel> {
        let mut fields = Fields(&message);
        match fields.u64().and_then(Verdict::from_u64) {
            Some(Verdict::Done) => {
                let Some(wall) = fields.u64() else {
                    return Err(parcel);
                };
                self.last_wall = Duration::from_nanos(wall);
                let outcomes = message.len() - fields.0.len();
                parcel.answer.done(self.child.id(), message, outcomes);
            }
            Some(Verdict::NoFunction) => {
                let reason = String::from_utf8_lossy(fields.0).into_owned();
                let first = parcel.answer.tasks().start;
                parcel.answer.failed(Error::function(first, reason));
            }
            None => return Err(parcel),
        }
        Ok(())
    }

    /// How long the worker has been busy with tasks that nobody wants any more.
    pub(super) fn unwanted_for(&mut self) -> Option<Duration> {
        let running = self.batches.front()?;
        if running.answer.is_wanted() {
            self.unwanted_since = None;
            return None;
        }
        Some(
            self.unwanted_since
                .get_or_insert_with(Moment::now)
                .elapsed(),
        )
    }

    /// Ends a worker that is not to be trusted any more.
    fn confused(&mut self, what: &str) -> String {
        self.end();
        format!("was stopped because {what}")
    }

    /// Makes sure that the process has ended, and says how it did.
    pub(super) fn end(&mut self) -> String {
        let how = end(&mut self.child);
        self.stdout.catch_up(true);
        self.stderr.catch_up(true);
        how
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process and removes it from the system's table. One that is ending by itself keeps its
/// own status: the system has noted that before it closes the socket.
fn end(child: &mut Child) -> String {
    // An error means that it has been waited for already.
    let _ = child.kill();
    match child.wait() {
        Ok(status) => describe(status),
        Err(error) => format!("ended, and the system cannot say how: {error}"),
    }
}

fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!(
            "ended with exit status {}",
            status.code().unwrap_or_default()
        );
    };
    let name = match signal {
        libc::SIGILL => "SIGILL, an illegal instruction",
        libc::SIGABRT => "SIGABRT, as after abort()",
        libc::SIGBUS => "SIGBUS, a memory access that failed",
        libc::SIGFPE => "SIGFPE, an arithmetic error",
        libc::SIGKILL => "SIGKILL, perhaps because memory ran out",
        libc::SIGSEGV => "SIGSEGV, a memory access that is not allowed, or a stack overflow",
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT, as after Ctrl-C",
        _ => return format!("was killed by signal {signal}"),
    };
    format!("was killed by signal {signal} ({name})")
}
