//! A pool of your own: threads that take jobs from one queue. With the feature `conformance`,
//! `joblab::conformance::check` tells in a test whether a pool keeps all promises, as this one does.
//!
//! `cargo run --release --package joblab --example own_pool`

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use joblab::{Error, Job, Parallel, Pool};

pub(crate) struct Team {
    n_workers: usize,
    jobs: Sender<Job>,
}

impl Team {
    pub(crate) fn start(n_workers: usize) -> Team {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..n_workers {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || work(&queue));
        }
        Team { n_workers, jobs }
    }
}

/// Until the pool is dropped, which closes the queue.
fn work(queue: &Mutex<Receiver<Job>>) {
    let next = || queue.lock().ok()?.recv().ok();
    while let Some(job) = next() {
        job.run();
    }
}

impl Pool for Team {
    fn n_workers(&self) -> usize {
        self.n_workers
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).map_err(Error::other)
    }
}

fn main() -> Result<(), Error> {
    let run = Parallel::with_pool(Team::start(3)).map(|n: u64| n * n, 0..10)?;
    println!("{:?}", run.results);
    eprintln!("{}", run.timing);
    Ok(())
}
