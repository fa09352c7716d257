//! What a call writes down of each task that it hands out: its argument, for another attempt, and whose
//! result is to be kept in a file.

use std::collections::HashMap;

use super::resume::Resume;
use crate::batch::Order;
use crate::codec::{self, Sink, Written};
use crate::error::Error;
use crate::shared::Attachments;

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

/// Keeps what a call may need of its tasks later.
pub(crate) struct Keeper {
    /// Whether tasks may have to be handed out again.
    retries: bool,
    pub(super) resume: Option<Resume>,
    order: Order,
    /// The place of the next task.
    next: usize,
    kept: HashMap<usize, KeptTask>,
    /// Whether the last task that was pulled is not to be handed out: its result is in the file, or it cannot
    /// be.
    aside: Option<Result<(), Error>>,
}

impl Keeper {
    pub(super) fn new(retries: bool, resume: Option<Resume>, order: Order) -> Self {
        Keeper { retries, resume, order, next: 0, kept: HashMap::new(), aside: None }
    }

    /// Whether tasks are to be kept.
    pub(super) fn is_needed(&self) -> bool {
        self.retries || self.resume.is_some()
    }

    /// Keeps the next task, whose argument `write` writes down. `read` reads a result that is there
    /// already. False where the task is not to be handed out.
    pub(super) fn keep(
        &mut self,
        function: usize,
        write: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), String>,
        read: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        let task = self.next;
        self.next += 1;
        let index = self.order.index(task);
        let found = match codec::written_by(write) {
            Err(reason) => Err(Error::argument(index, reason)),
            Ok(argument) => {
                let found = match &mut self.resume {
                    Some(resume) => resume.find((task, index), function, &argument, read),
                    None => Ok(false),
                };
                if self.retries {
                    self.kept.insert(task, KeptTask { index, function, argument });
                }
                found
            }
        };
        self.aside = match found {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        self.aside.is_none()
    }

    /// Whether the last task that was pulled is not to be handed out: its result was in the file, and has
    /// been read, or there is an error.
    pub(super) fn take_aside(&mut self) -> Option<Result<(), Error>> {
        self.aside.take()
    }

    pub(super) fn kept(&self, task: usize) -> Option<&KeptTask> {
        self.kept.get(&task)
    }

    /// Says that a task has ended for good.
    pub(super) fn forget(&mut self, task: usize) {
        // Looking for it costs more than a short task.
        if !self.kept.is_empty() {
            self.kept.remove(&task);
        }
        if let Some(resume) = &mut self.resume {
            resume.forget(task);
        }
    }
}
