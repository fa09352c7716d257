//! A rayon pool of named threads.

mod queue;
mod scope;

use std::sync::Arc;
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use self::queue::{Queue, Work};
use crate::error::Error;
use crate::pool::{InScope, Job, Pool, SharedMemory, Workers};

pub(super) struct Threads {
    pool: ThreadPool,
    queue: Arc<Queue>,
}

impl Threads {
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(n_jobs)
            .thread_name(|worker| format!("worker-{worker}"))
            .build()
            .map_err(|reason| Error::pool(n_jobs, reason))?;
        Ok(Threads { pool, queue: Arc::new(Queue::new(n_jobs)) })
    }

    fn hand_over(&self, work: Work) {
        if self.queue.push(work) {
            let queue = Arc::clone(&self.queue);
            self.pool.spawn_fifo(move || queue.visit());
        }
    }
}

impl Pool for Threads {
    fn n_workers(&self) -> usize {
        self.pool.current_num_threads()
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

impl Workers for Threads {}

impl SharedMemory for Threads {
    fn scope<'scope>(&self, call: InScope<'_, 'scope>) {
        scope::run(&|work| self.hand_over(work), call);
    }

    fn as_workers(&self) -> &dyn Workers {
        self
    }
}
