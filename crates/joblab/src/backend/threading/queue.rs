//! The jobs of a pool's threads, first in, first out, and one at a time on each thread.
//!
//! A rayon thread that waits for work that was split off runs whatever the pool has meanwhile, on top
//! of the stack of what waits. A second task there would find its thread's state taken and locks held
//! by a task that cannot go on. So rayon is not given the jobs but only visits to this queue, and a
//! visit to a thread that has a job takes none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::os::lock;

pub(super) type Work = Box<dyn FnOnce() + Send>;

pub(super) struct JobQueue(Mutex<State>);

/// All of it changes under one lock. Where there are jobs, either all threads are busy, and look for
/// another one at the end of theirs, or a visit is on its way.
struct State {
    jobs: VecDeque<Work>,
    /// Which threads of the pool have jobs.
    is_busy: Vec<bool>,
    /// How many have none.
    free: usize,
    /// How many visits are on their way.
    visits: usize,
}

impl JobQueue {
    pub(super) fn new(threads: usize) -> Self {
        let (jobs, is_busy) = (VecDeque::new(), vec![false; threads]);
        JobQueue(Mutex::new(State { jobs, is_busy, free: threads, visits: 0 }))
    }

    /// Adds a job. Where it returns true, a thread of the pool must [visit](Self::visit) the queue.
    #[must_use]
    pub(super) fn push(&self, work: Work) -> bool {
        let mut state = lock(&self.0);
        state.jobs.push_back(work);
        let calls = state.visits < state.free;
        state.visits += usize::from(calls);
        calls
    }

    /// Runs jobs in a thread of the pool until there are no more. From one that has a job already, and
    /// waits for some other work, it sends for the free ones.
    pub(super) fn visit(self: &Arc<Self>) {
        if !self.run_jobs(|state| state.visits -= 1) && self.has_free_threads_for_jobs() {
            // Each thread gets a visit of its own, which no busy one can take away.
            let queue = Arc::clone(self);
            rayon::spawn_broadcast(move |_| {
                queue.run_jobs(|_| {});
            });
        }
    }

    /// False in a thread that has a job already. The state is told first that this one is here.
    fn run_jobs(&self, arrive: fn(&mut State)) -> bool {
        let Some(thread) = rayon::current_thread_index() else { return false };
        let mut state = lock(&self.0);
        arrive(&mut state);
        if state.is_busy[thread] {
            return false;
        }
        state.is_busy[thread] = true;
        state.free -= 1;
        while let Some(work) = state.jobs.pop_front() {
            drop(state);
            work();
            // What the task has spawned or split off comes before the next job, as in any rayon pool.
            // Others' work is left to them: it may be a visit that is meant for a free thread.
            while rayon::yield_local() == Some(rayon::Yield::Executed) {}
            state = lock(&self.0);
        }
        state.is_busy[thread] = false;
        state.free += 1;
        true
    }

    fn has_free_threads_for_jobs(&self) -> bool {
        let state = lock(&self.0);
        state.free > 0 && !state.jobs.is_empty()
    }
}
