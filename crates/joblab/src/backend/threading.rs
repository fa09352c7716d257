//! A rayon pool of named threads.

use std::time::Duration;

use rayon::{ScopeFifo, ThreadPool, ThreadPoolBuilder};

use crate::error::Error;
use crate::os::Origin;
use crate::pool::{InScope, Job, Pool, SharedMemory, Spawn, Workers};

pub(super) struct Threads {
    /// None when it is dropped.
    pool: Option<ThreadPool>,
    origin: Origin,
}

impl Threads {
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        ThreadPoolBuilder::new()
            .num_threads(n_jobs)
            .thread_name(|worker| format!("worker-{worker}"))
            .build()
            .map(|pool| Threads { pool: Some(pool), origin: Origin::here() })
            .map_err(|reason| Error::pool(n_jobs, reason))
    }

    fn pool(&self) -> &ThreadPool {
        self.pool.as_ref().expect("it is there until the drop")
    }
}

impl Pool for Threads {
    fn n_workers(&self) -> usize {
        self.pool().current_num_threads()
    }

    /// Waking a thread takes some microseconds.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_micros(100))
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        // First in, first out: tasks start in the order of the list.
        self.pool().spawn_fifo(move || job.run());
        Ok(())
    }
}

impl Workers for Threads {
    fn is_elsewhere(&self) -> bool {
        self.origin.is_elsewhere()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if self.origin.is_elsewhere() {
            // Locks in it may be held by threads that are not there.
            std::mem::forget(self.pool.take());
        }
    }
}

impl SharedMemory for Threads {
    fn scope<'scope>(&self, call: InScope<'_, 'scope>) {
        self.pool().in_place_scope_fifo(|scope| call(scope));
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
