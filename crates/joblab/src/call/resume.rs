//! What a call needs of a file of results: which of its tasks are in it already, and where the results
//! of the others go.

use std::collections::HashMap;
use std::path::PathBuf;

use super::results_file::{Key, ResultsFile};
use crate::codec::Written;
use crate::error::Error;

/// The option: the file, and what tells one function's results from another's.
#[derive(Clone)]
pub(crate) struct ResumeFrom {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

/// A call's file of results.
pub(super) struct Resume {
    file: ResultsFile,
    name: String,
    types: [&'static str; 2],
    /// Of the tasks that were handed out and have not ended.
    keys: HashMap<usize, Key>,
    /// Why no more results can be kept, until the call is told.
    broken: Option<Error>,
    is_broken: bool,
}

impl Resume {
    /// For a call of tasks of these types of arguments and results.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub(super) fn open(from: &ResumeFrom, types: [&'static str; 2]) -> Result<Self, Error> {
        Ok(Resume {
            file: ResultsFile::open(&from.path)?,
            name: from.name.clone(),
            types,
            keys: HashMap::new(),
            broken: None,
            is_broken: false,
        })
    }

    /// Looks for a task's result in the file: that of the function at this place in the call's list of
    /// those, with this argument. `read` says whether one that is there can be read. Equal tasks take one
    /// result each.
    ///
    /// # Errors
    /// Where the argument does not tell which task that is, or the file cannot be read.
    pub(super) fn find(
        &mut self,
        (task, index): (usize, usize),
        function: usize,
        argument: &Written,
        read: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        if !argument.attachments.is_empty() {
            return Err(Error::resume_shared(index, "argument"));
        }
        let place = (function as u64).to_le_bytes();
        let [of_argument, of_result] = self.types.map(str::as_bytes);
        let key = Key::of(&[self.name.as_bytes(), of_argument, of_result, &place, &argument.bytes]);
        // One that cannot be read is of another build, in which the type was another one.
        while let Some(result) = self.file.take(key)? {
            if read(&result) {
                return Ok(true);
            }
        }
        self.keys.insert(task, key);
        Ok(false)
    }

    /// A task will not end any more.
    pub(super) fn forget(&mut self, task: usize) {
        self.keys.remove(&task);
    }

    /// Adds the result of a task that was not there; [`write`](Self::write) brings it into the file.
    pub(super) fn add(&mut self, (task, index): (usize, usize), result: Result<Written, String>) {
        let Some(key) = self.keys.remove(&task) else { return };
        match result {
            Ok(result) if result.attachments.is_empty() => self.file.add(key, &result.bytes),
            Ok(_) => self.end(Error::resume_shared(index, "result")),
            Err(reason) => self.end(Error::unsaved(index, reason)),
        }
    }

    /// Writes what was added. Once that has failed, nothing is written any more.
    pub(super) fn write(&mut self) {
        if !self.is_broken
            && let Err(error) = self.file.write()
        {
            self.end(error);
        }
    }

    fn end(&mut self, error: Error) {
        self.broken.get_or_insert(error);
        self.is_broken = true;
    }

    /// Why no more results can be kept: the call ends with that. Told once.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.broken.take()
    }
}
