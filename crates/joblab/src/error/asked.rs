//! What a call was asked for, and has no meaning.

use super::{Error, Kind};

impl Error {
    pub(crate) fn n_jobs(asked: i32, most: usize) -> Self {
        let message = format!(
            "n_jobs = {asked} has no meaning: give 1 to {most} for that many workers, \
             -1 for as many as there are CPUs, -2 for all CPUs but one"
        );
        Error::new(Kind::Invalid, None, message)
    }

    /// For an option that is zero and must not be.
    pub(crate) fn zero(option: &str, range: &str) -> Self {
        let message = format!("{option} = 0 has no meaning: give {range}");
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn unknown_backend(name: &str, known: &[String]) -> Self {
        let known = known.join(", ");
        let message = format!("{name:?} is no backend: the backends are {known}");
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn cost(index: usize) -> Self {
        let message = format!(
            "the cost of task {index} is NaN, which is neither dear nor cheap: give a number, infinity \
             for what is to start first"
        );
        Error::new(Kind::Invalid, Some(index), message)
    }

    pub(crate) fn no_workers() -> Self {
        let message = "the pool has no workers: n_workers must be at least 1".to_owned();
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn nested(depth: usize) -> Self {
        let message = format!(
            "{depth} calls of Parallel are nested in each other's tasks, which looks like a \
             recursion without an end; let inner tasks call functions directly"
        );
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn own_sharedmem() -> Self {
        let message = "a pool of your own cannot run what borrows from its caller: use map, run or \
                       iter with it, or sharedmem without with_pool";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    pub(crate) fn shared_retries() -> Self {
        let message = "retries has no meaning with sharedmem, whose inputs may be borrowed and \
                       cannot be kept for another attempt: leave it out, or use map";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    pub(crate) fn shared_resume() -> Self {
        let message = "resume has no meaning with sharedmem, whose inputs and results need not be \
                       data that a file can hold: leave it out, or use map";
        Error::new(Kind::Invalid, None, message.to_owned())
    }

    /// For what is in shared memory, of which bytes hold nothing but the place.
    pub(crate) fn resume_shared(index: usize, what: &str) -> Self {
        let message = format!(
            "the {what} of task {index} is in shared memory, so that no file can tell what it is: leave \
             resume out, or let tasks take and return what is in it"
        );
        Error::new(Kind::Invalid, Some(index), message)
    }

    pub(crate) fn no_scheduler() -> Self {
        let message = "scheduler(\"\") names no cluster: give its scheduler's address, as \
                       tcp://127.0.0.1:8786, or leave it out for the cluster of Dask's configuration, \
                       or one that is started here";
        Error::new(Kind::Other, None, message.to_owned())
    }
}
