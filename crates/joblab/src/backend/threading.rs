//! A rayon pool of named threads.

use std::time::Duration;

use rayon::{ScopeFifo, ThreadPool, ThreadPoolBuilder};

use crate::error::Error;
use crate::os::stack_size;
use crate::pool::{InScope, Job, Pool, SharedMemory, Spawn, Workers};

pub(super) struct Threads(ThreadPool);

impl Threads {
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        ThreadPoolBuilder::new()
            .num_threads(n_jobs)
            .thread_name(|worker| format!("worker-{worker}"))
            .stack_size(stack_size())
            .build()
            .map(Threads)
            .map_err(|reason| Error::pool(n_jobs, reason))
    }
}

impl Pool for Threads {
    fn n_workers(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Waking a thread takes some microseconds.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_micros(100))
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        // First in, first out: tasks start in the order of the list.
        self.0.spawn_fifo(move || job.run());
        Ok(())
    }
}

impl Workers for Threads {}

impl SharedMemory for Threads {
    fn scope<'scope>(&self, call: InScope<'_, 'scope>) {
        self.0.in_place_scope_fifo(|scope| call(scope));
    }

    fn as_workers(&self) -> &dyn Workers {
        self
    }
}

impl<'scope> Spawn<'scope> for ScopeFifo<'scope> {
    fn spawn(&self, work: Box<dyn FnOnce() + Send + 'scope>) {
        self.spawn_fifo(move |_| work());
    }
}
