//! Batches and their outcomes as bytes.
//!
//! A written batch is the [rules](Rules) and then, for each argument, a length (u64, little-endian)
//! and its bytes; a length of 0 says that the bytes follow in [parts](crate::codec), since no value is
//! written as no bytes. A batch of outcomes begins with their number n; then come n outcomes, each a
//! tag, a length and bytes; then n times the [times](TaskTimes).

use std::io;

use super::journal::{Journal, Noted};
use super::runner::{Failure, Outcomes, Recorder, Resumable, Rules, resume};
use crate::codec::{Fields, Form, PartReader, Sink, reserve_length, write_length};
use crate::measure::{Laps, TaskTimes, times_to_bytes};
use crate::task::Data;

/// Tags of outcomes.
const RESULT: u64 = 0;
const PANICKED: u64 = 1;
const NOT_CARRIED: u64 = 2;
const NO_STATE: u64 = 3;
const RETURNED: u64 = 4;
const ARGUMENT_UNREAD: u64 = 5;

/// Writes arguments, each behind its length.
pub(crate) struct ArgumentWriter<'a> {
    sink: Sink<'a>,
    has_lengths: bool,
    written: usize,
}

impl<'a> ArgumentWriter<'a> {
    pub(crate) fn new(sink: Sink<'a>) -> Self {
        ArgumentWriter { sink, has_lengths: true, written: 0 }
    }

    /// For one argument that is sent in parts.
    pub(crate) fn without_length(sink: Sink<'a>) -> Self {
        ArgumentWriter { has_lengths: false, ..ArgumentWriter::new(sink) }
    }

    /// Appends arguments. The error says why one cannot be carried.
    pub(crate) fn write<A: Data>(&mut self, arguments: &[A]) -> Result<(), String> {
        let form = Form::new();
        if let Some(bytes) = form.numbers(arguments) {
            return self.write_numbers(bytes, size_of::<A>());
        }
        for argument in arguments {
            let start = self.begin();
            form.write(argument, &mut self.sink)?;
            self.end(start);
        }
        Ok(())
    }

    fn write_numbers(&mut self, bytes: &[u8], width: usize) -> Result<(), String> {
        for number in bytes.chunks_exact(width) {
            let start = self.begin();
            self.sink.put(number)?;
            self.end(start);
        }
        Ok(())
    }

    fn begin(&mut self) -> Option<usize> {
        self.has_lengths.then(|| self.sink.reserve_length())
    }

    fn end(&mut self, start: Option<usize>) {
        if let Some(start) = start {
            self.sink.write_length(start);
        }
        self.written += 1;
    }

    /// How many arguments are written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Whether there was no room for all.
    pub(crate) fn is_full(&self) -> bool {
        self.sink.is_full
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.sink)
    }
}

/// A written batch as a worker process gets it.
pub(crate) struct Incoming<'a> {
    pub(crate) batch: &'a [u8],
    /// Gives the parts that follow; none after the last.
    pub(crate) next_part: &'a mut dyn FnMut() -> Option<Vec<u8>>,
}

/// A written batch while a worker process runs it: the arguments, and the outcomes as far as they are
/// there.
pub(crate) struct WrittenBatch<'a> {
    incoming: Incoming<'a>,
    arguments: Fields<'a>,
    argument: &'a [u8],
    reply: &'a mut Vec<u8>,
    recorder: Recorder<'a>,
    journal: Option<&'a mut Journal>,
    /// How many bytes the running task's argument has.
    size: u64,
    /// Where the running task's outcome begins in the reply.
    outcome_at: usize,
}

impl<'a> WrittenBatch<'a> {
    /// Runs a batch, and appends the outcomes to the reply. `run` has the tasks' types.
    pub(crate) fn run(
        incoming: Incoming<'a>,
        reply: &'a mut Vec<u8>,
        mut journal: Option<&'a mut Journal>,
        run: &mut dyn FnMut(&mut Self),
    ) {
        let mut arguments = Fields(incoming.batch);
        // The least that an argument takes; a large one may be many bytes.
        let expected = (incoming.batch.len() / 9).min(1 << 16);
        let Some(rules) = Rules::read(&mut arguments) else { return };
        let count_at = reserve_length(reply);
        if let Some(journal) = &mut journal {
            journal.begin_batch(rules.keep_going);
        }
        let mut batch = WrittenBatch {
            incoming,
            arguments,
            argument: &[],
            reply,
            recorder: Recorder::new(&rules, Laps::start_in_process(expected), None),
            journal,
            size: 0,
            outcome_at: 0,
        };
        let _entered = rules.nesting.enter();
        resume(&mut batch, run);
        let WrittenBatch { reply, recorder, .. } = batch;
        let times = recorder.finish().times;
        reply[count_at..count_at + 8].copy_from_slice(&(times.len() as u64).to_le_bytes());
        reply.reserve(times.len() * TaskTimes::BYTES + 8);
        times.into_iter().for_each(|times| reply.extend_from_slice(&times.to_bytes()));
    }

    /// Goes on to the next task. False after the last.
    pub(crate) fn begin(&mut self) -> bool {
        if !self.recorder.goes_on() {
            return false;
        }
        let Some(argument) = self.arguments.sized() else { return false };
        if let Some(journal) = &mut self.journal {
            journal.begin_task();
        }
        self.argument = argument;
        self.size = argument.len() as u64;
        self.outcome_at = self.reply.len();
        self.reply.extend([0; 16]);
        true
    }

    /// The task's argument, or why it cannot be read.
    pub(crate) fn argument<A: Data>(&mut self, form: Form<A>) -> Result<A, String> {
        match self.argument {
            [] => form.read_from(PartReader::new(&mut || {
                let part = (self.incoming.next_part)()?;
                self.size += part.len() as u64;
                Some(part)
            })),
            bytes => form.read(bytes),
        }
    }

    /// The task has returned; its result is dropped before the task ends.
    pub(crate) fn end<R: Data>(&mut self, form: Form<R>, result: R, has_failed: bool) {
        let written = form.write(&result, &mut Sink::growing(self.reply));
        drop(result);
        self.written(written, has_failed);
    }

    fn written(&mut self, written: Result<(), String>, has_failed: bool) {
        if let Err(reason) = written {
            let reason = format!("the worker could not write it: {reason}");
            return self.fail(NOT_CARRIED, Failure::NotCarried(String::new()), &reason);
        }
        let tag = if has_failed { RETURNED } else { RESULT };
        let at = self.outcome_at;
        self.reply[at..at + 8].copy_from_slice(&tag.to_le_bytes());
        write_length(self.reply, at + 8);
        let carried = self.size + (self.reply.len() - at - 16) as u64;
        self.recorder.ended_remotely(has_failed, carried);
        self.note();
    }

    /// Notes the outcome that the reply ends with.
    fn note(&mut self) {
        if let Some(journal) = &mut self.journal
            && journal.notes()
            && let Some(times) = self.recorder.last_times()
            && let Some((tag, outcome)) = self.reply[self.outcome_at..].split_first_chunk()
        {
            // The length is known without its eight bytes.
            journal.end_task(u64::from_le_bytes(*tag), &outcome[8..], times);
        }
    }

    /// The task has no argument, for this reason.
    pub(crate) fn no_argument(&mut self, reason: String) {
        self.fail(ARGUMENT_UNREAD, Failure::ArgumentUnread(String::new()), &reason);
    }

    /// No task runs, since the worker has no state, for this reason.
    pub(crate) fn no_state(&mut self, reason: &str) {
        while self.begin() {
            self.fail(NO_STATE, Failure::NoState(reason.to_owned()), reason);
        }
    }

    fn fail(&mut self, tag: u64, failure: Failure, reason: &str) {
        self.reply.truncate(self.outcome_at);
        self.reply.extend(tag.to_le_bytes());
        let length_at = reserve_length(self.reply);
        self.reply.extend(reason.as_bytes());
        write_length(self.reply, length_at);
        self.recorder.failed(failure);
        self.note();
    }
}

impl Resumable for WrittenBatch<'_> {
    fn is_over(&self) -> bool {
        self.recorder.is_over()
    }

    fn panicked(&mut self, message: String) {
        self.fail(PANICKED, Failure::Panicked(String::new()), &message);
    }
}

/// Runs a written batch with `f`.
pub(super) fn run_each_written<A: Data, R: Data>(
    mut f: impl FnMut(A) -> R,
    has_failed: impl Fn(&R) -> bool,
    batch: &mut WrittenBatch<'_>,
) {
    let (of_arguments, of_results) = (Form::new(), Form::new());
    while batch.begin() {
        match batch.argument(of_arguments) {
            Ok(argument) => {
                let result = f(argument);
                let has_failed = has_failed(&result);
                batch.end(of_results, result, has_failed);
            }
            Err(reason) => batch.no_argument(reason),
        }
    }
}

/// Writes what a worker has noted of tasks as it would have written it in its reply.
pub(crate) fn message_of(noted: &[Noted]) -> Vec<u8> {
    let lost = "it has run, and its result was too large to be kept when its worker process died";
    let lost = (NOT_CARRIED, lost.as_bytes().to_vec());
    let mut message = (noted.len() as u64).to_le_bytes().to_vec();
    for Noted { outcome, .. } in noted {
        let (tag, bytes) = outcome.as_ref().unwrap_or(&lost);
        message.extend(tag.to_le_bytes());
        message.extend((bytes.len() as u64).to_le_bytes());
        message.extend(bytes);
    }
    for Noted { times, .. } in noted {
        message.extend(times_to_bytes(*times));
    }
    message
}

/// A written batch without its first tasks. None where it has no others that could be sent again:
/// what follows in parts is not kept.
pub(crate) fn without_first(batch: &[u8], tasks: usize) -> Option<Vec<u8>> {
    let mut arguments = Fields(batch);
    let rules = Rules::read(&mut arguments)?;
    for _ in 0..tasks {
        arguments.sized()?;
    }
    if arguments.0.is_empty() || arguments.0.starts_with(&[0; 8]) {
        return None;
    }
    let mut rest = Vec::with_capacity(batch.len() - tasks);
    rules.write(&mut rest);
    rest.extend(arguments.0);
    Some(rest)
}

/// Reads the outcomes of a written batch.
pub(crate) struct ResultReader<'a> {
    reply: Fields<'a>,
    /// How many outcomes are still to be read.
    left: u64,
    place: usize,
    failures: Vec<(usize, Failure)>,
    is_torn: bool,
}

impl<'a> ResultReader<'a> {
    /// Reads a reply. `read` has the results' type. None where the reply is not whole.
    pub(crate) fn read(reply: &'a [u8], read: &mut dyn FnMut(&mut Self)) -> Option<Outcomes> {
        let mut reply = Fields(reply);
        let left = reply.u64()?;
        let (failures, is_torn) = (Vec::new(), false);
        let mut reader = ResultReader { reply, left, place: 0, failures, is_torn };
        read(&mut reader);
        if reader.is_torn {
            return None;
        }
        let ResultReader { reply, place: tasks, failures, .. } = reader;
        // No more than came in.
        let times = reply.0.as_chunks().0.get(..tasks)?;
        Some(Outcomes { times: times.iter().map(TaskTimes::from_bytes).collect(), failures })
    }

    /// The bytes of the next result; none after the last.
    pub(crate) fn next_result(&mut self) -> Option<&'a [u8]> {
        while self.left > 0 {
            let Some((tag, bytes)) = self.reply.u64().zip(self.reply.sized()) else {
                self.is_torn = true;
                return None;
            };
            self.left -= 1;
            self.place += 1;
            let words = || String::from_utf8_lossy(bytes).into_owned();
            let failure = match tag {
                RESULT => return Some(bytes),
                RETURNED => {
                    self.failures.push((self.place - 1, Failure::Returned));
                    return Some(bytes);
                }
                PANICKED => Failure::Panicked(words()),
                NO_STATE => Failure::NoState(words()),
                ARGUMENT_UNREAD => Failure::ArgumentUnread(words()),
                NOT_CARRIED => Failure::NotCarried(words()),
                _ => {
                    self.is_torn = true;
                    return None;
                }
            };
            self.failures.push((self.place - 1, failure));
        }
        None
    }

    /// The result that was given last does not decode, for this reason.
    pub(crate) fn refuse(&mut self, reason: String) {
        let place = self.place - 1;
        self.failures.retain(|(failed, _)| *failed != place);
        self.failures.push((place, Failure::NotCarried(reason)));
    }
}
