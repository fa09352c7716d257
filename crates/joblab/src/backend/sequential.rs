//! No pool at all: the calling thread does the work.

use std::time::Duration;

use crate::backend::{Job, Pool};
use crate::error::Error;

pub(super) struct Caller;

impl Pool for Caller {
    fn n_workers(&self) -> usize {
        1
    }

    /// One: the next task is not even made before the last one has run.
    fn look_ahead(&self) -> usize {
        1
    }

    fn batch_duration(&self) -> Option<Duration> {
        None
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        job.run();
        Ok(())
    }
}
