//! How many tasks travel together.

use std::time::Duration;

use crate::measure::TaskTimes;
use crate::pool::Workers;

/// How many tasks travel together: as many as take the pool's batch duration, by what the last
/// batches took in their workers. Starts with one and at most doubles, after joblib's
/// `AutoBatchingMixin` (joblib/_parallel_backends.py).
pub(super) struct BatchSize {
    pub(super) size: usize,
    /// None where the size is fixed.
    duration: Option<Duration>,
    n_workers: usize,
}

impl BatchSize {
    pub(super) fn new(workers: &dyn Workers, fixed: Option<usize>) -> Self {
        BatchSize {
            size: fixed.unwrap_or(1),
            duration: match fixed {
                Some(_) => None,
                None => workers.batch_duration(),
            },
            n_workers: workers.n_workers(),
        }
    }

    /// The next batch's size. Towards the end batches get smaller, so that all workers end together
    /// and no slow task has many waiting behind it.
    pub(super) fn next(&self, remaining: Option<usize>) -> usize {
        match (self.duration, remaining) {
            (Some(_), Some(remaining)) => self.size.min(remaining / (4 * self.n_workers)).max(1),
            _ => self.size,
        }
    }

    pub(super) fn learn(&mut self, times: &[TaskTimes]) {
        let Some(duration) = self.duration else {
            return;
        };
        let wall: Duration = times.iter().map(TaskTimes::wall).sum();
        let tasks = times.len() as f64;
        let fitting = tasks * duration.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        if wall > 2 * duration {
            self.size = self.size.min(fitting as usize).max(1);
        } else if wall < duration && times.len() >= self.size {
            self.size = (2 * self.size).min(fitting as usize).max(self.size);
        }
    }
}
