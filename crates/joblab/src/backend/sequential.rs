//! No pool at all: the calling thread does the work.

use crate::error::Error;
use crate::pool::{InScope, Job, Pool, SharedMemory, Spawn, Workers};

pub(crate) struct Caller;

impl Pool for Caller {
    fn n_workers(&self) -> usize {
        1
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        job.run();
        Ok(())
    }

    /// One: the next task is not even made before the last one has run.
    fn look_ahead(&self) -> usize {
        1
    }
}

impl Workers for Caller {}

impl SharedMemory for Caller {
    fn scope<'scope>(&self, call: InScope<'_, 'scope>) {
        call(self);
    }

    fn as_workers(&self) -> &dyn Workers {
        self
    }
}

impl<'scope> Spawn<'scope> for Caller {
    fn spawn(&self, work: Box<dyn FnOnce() + Send + 'scope>) {
        work();
    }
}
