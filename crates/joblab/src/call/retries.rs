//! Tasks that are tried again: which, how often, and what they need for it.

use std::collections::HashMap;
use std::ops::Range;

use crate::codec::{self, Sink, Written};
use crate::error::Error;
use crate::shared::Attachments;

/// The attempts of a call's tasks.
pub(super) struct Retries {
    /// How many more attempts a task has after the first.
    attempts: u32,
    /// Tasks to be handed out once more, each in a batch of its own.
    again: Vec<usize>,
    /// How often tasks have failed.
    failures: HashMap<usize, u32>,
    pub(super) keeper: Keeper,
}

impl Retries {
    pub(super) fn new(attempts: u32) -> Self {
        let (again, failures) = (Vec::new(), HashMap::new());
        Retries { attempts, again, failures, keeper: Keeper::new(attempts > 0) }
    }

    /// Whether tasks may be tried again at all.
    pub(super) fn are_allowed(&self) -> bool {
        self.attempts > 0
    }

    /// The next task to be handed out once more.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.again.pop()
    }

    /// Plans to hand out tasks once more, without counting an attempt.
    pub(super) fn plan(&mut self, tasks: Range<usize>) {
        self.again.extend(tasks.rev());
    }

    /// Counts a failure, and plans another attempt if the task has one left.
    pub(super) fn try_again(&mut self, index: usize) -> bool {
        if !self.are_allowed() {
            return false;
        }
        let failures = self.failures.entry(index).or_default();
        *failures += 1;
        let again = *failures <= self.attempts;
        if again {
            self.again.push(index);
        }
        again
    }

    /// Plans nothing any more.
    pub(super) fn clear(&mut self) {
        self.again.clear();
    }
}

/// A task that was handed out and may have to be so again, written down.
pub(crate) struct KeptTask {
    pub(super) index: usize,
    /// The place of its function in the call's list of those.
    function: usize,
    argument: Written,
}

impl KeptTask {
    /// The place of its function in the call's list of those.
    pub(super) fn function(&self) -> usize {
        self.function
    }

    /// Its argument, as bytes.
    pub(super) fn argument(&self) -> &[u8] {
        &self.argument.bytes
    }

    /// The shared memory that is in its argument.
    pub(super) fn attachments(&self) -> &Attachments {
        &self.argument.attachments
    }

    /// Why it cannot be handed out again.
    pub(super) fn refused(&self, reason: String) -> Error {
        Error::argument(self.index, reason)
    }
}

/// Keeps the tasks that may have to be handed out again.
pub(crate) struct Keeper {
    is_needed: bool,
    /// The index of the next task.
    next: usize,
    kept: HashMap<usize, KeptTask>,
    /// Why the last task that was pulled could not be written down.
    refused: Option<Error>,
}

impl Keeper {
    /// `is_needed`: whether tasks may have to be handed out again.
    pub(super) fn new(is_needed: bool) -> Self {
        Keeper { is_needed, next: 0, kept: HashMap::new(), refused: None }
    }

    /// Whether tasks are to be kept.
    pub(super) fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Keeps the next task, whose argument `write` writes down. False where that cannot be done.
    pub(super) fn keep(
        &mut self,
        function: usize,
        write: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), String>,
    ) -> bool {
        let index = self.next;
        self.next += 1;
        match codec::written_by(write) {
            Ok(argument) => {
                self.kept.insert(index, KeptTask { index, function, argument });
                true
            }
            Err(reason) => {
                self.refused = Some(Error::argument(index, reason));
                false
            }
        }
    }

    /// Whether a task was pulled that cannot be handed out.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    pub(super) fn take_refusal(&mut self) -> Option<Error> {
        self.refused.take()
    }

    pub(super) fn kept(&self, index: usize) -> Option<&KeptTask> {
        self.kept.get(&index)
    }

    /// Says that a task will not be handed out again.
    pub(super) fn forget(&mut self, index: usize) {
        // Looking for it costs more than a short task.
        if !self.kept.is_empty() {
            self.kept.remove(&index);
        }
    }
}
