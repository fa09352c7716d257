//! A written batch in a worker process: how it is run, and its outcomes are written down.

use super::encoding::{ARGUMENT_UNREAD, NO_STATE, NOT_CARRIED, PANICKED, RESULT, RETURNED};
use super::journal::Journal;
use super::runner::{Failure, Recorder, Resumable, Rules, resume};
use crate::codec::{Fields, Form, PartBytes, PartReader, Sink, reserve_length, write_length};
use crate::measure::{Laps, TaskTimes};
use crate::task::Data;

/// A written batch as a worker process gets it.
pub(crate) struct Incoming<'a> {
    pub(crate) batch: &'a [u8],
    /// Gives the parts that follow; none after the last.
    pub(crate) next_part: &'a mut dyn FnMut() -> Option<PartBytes>,
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
