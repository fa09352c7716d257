//! A rayon pool of named threads.

mod queue;
mod scope;

use std::sync::Arc;
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use self::queue::{JobQueue, Work};
use crate::error::Error;
use crate::measure::ThreadStart;
use crate::os::{Origin, stack_size};
use crate::pool::{InScope, Job, Pool, SharedMemory, Workers};

pub(super) struct Threads {
    /// None when it is dropped.
    pool: Option<ThreadPool>,
    queue: Arc<JobQueue>,
    origin: Origin,
}

impl Threads {
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        let start = ThreadStart::now();
        let pool = ThreadPoolBuilder::new()
            .num_threads(n_jobs)
            .thread_name(|worker| format!("worker-{worker}"))
            .stack_size(stack_size())
            .start_handler(move |_| start.note())
            .build()
            .map_err(|reason| Error::pool(n_jobs, reason))?;
        let queue = Arc::new(JobQueue::new(n_jobs));
        Ok(Threads { pool: Some(pool), queue, origin: Origin::here() })
    }

    fn hand_over(&self, work: Work) {
        if self.queue.push(work) {
            let queue = Arc::clone(&self.queue);
            self.pool().spawn_fifo(move || queue.visit());
        }
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
        self.hand_over(Box::new(move || job.run()));
        Ok(())
    }
}

impl Workers for Threads {
    fn is_forked(&self) -> bool {
        self.origin.is_forked()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if self.origin.is_forked() {
            // Locks in it may be held by threads that are not there.
            std::mem::forget(self.pool.take());
        }
    }
}

impl SharedMemory for Threads {
    fn scope<'scope>(&self, call: InScope<'_, 'scope>) {
        scope::run(&|work| self.hand_over(work), call);
    }

    fn as_workers(&self) -> &dyn Workers {
        self
    }
}
