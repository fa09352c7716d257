//! How many tasks travel together.

use std::time::Duration;

use crate::batch::{Order, SHORT};
use crate::measure::TaskTimes;
use crate::pool::Workers;

/// How many batches there are for each worker as long as they grow: one that runs, and two that wait. Where
/// there are no more than two, Dask does not queue them but moves them between its workers.
const GROWING: usize = 3;

/// How many tasks travel together: as many as take the pool's batch duration, by what the last
/// batches took in their workers. Starts with one and at most doubles, after joblib's
/// `AutoBatchingMixin` (joblib/_parallel_backends.py).
pub(super) struct BatchSize {
    pub(super) size: usize,
    /// None where the size is fixed.
    duration: Option<Duration>,
    n_workers: usize,
    /// Whether batches are still shorter than they should be.
    is_growing: bool,
    /// Whether each batch is as short as the one before, or shorter, and has far to go.
    gets_shorter: bool,
    /// Whether the last one was short.
    is_short: bool,
}

impl BatchSize {
    /// For tasks that are started in this order.
    pub(super) fn new(workers: &dyn Workers, fixed: Option<usize>, order: &Order) -> Self {
        let duration = match fixed {
            Some(_) => None,
            None => workers.batch_duration(),
        };
        BatchSize {
            size: fixed.unwrap_or(1),
            duration,
            n_workers: workers.n_workers(),
            is_growing: duration.is_some(),
            gets_shorter: !order.is_lists_own() && !workers.shares_memory(),
            is_short: false,
        }
    }

    /// How many tasks may be under way. As long as batches grow, they are few: those that are under way
    /// are all of a size that is too small.
    pub(super) fn ahead(&self, workers: &dyn Workers) -> usize {
        let most = workers.look_ahead();
        let batches = match self.is_growing {
            true => most.min(GROWING * workers.n_workers()),
            // No long one can come before them, behind which they would wait.
            false if self.gets_shorter && self.is_short => 2 * most,
            false => most,
        };
        batches * self.size
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
        let wall: Duration = times.iter().map(TaskTimes::wall).sum();
        self.is_short = wall < SHORT;
        let Some(duration) = self.duration else {
            return;
        };
        let tasks = times.len() as f64;
        let fitting = tasks * duration.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        let before = self.size;
        if wall > 2 * duration {
            self.size = self.size.min(fitting as usize).max(1);
        } else if wall < duration && times.len() >= self.size {
            self.size = (2 * self.size).min(fitting as usize).max(self.size);
        } else if times.len() < self.size {
            // One that was sent before the last change says nothing.
            return;
        }
        self.is_growing = self.size > before;
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_with;

    use super::*;
    use crate::error::Error;
    use crate::measure::Laps;
    use crate::pool::{Job, Pool};

    /// Two workers, elsewhere, that like to have much ahead.
    struct Far;

    impl Pool for Far {
        fn n_workers(&self) -> usize {
            2
        }

        fn submit(&self, _: Job) -> Result<(), Error> {
            Ok(())
        }

        fn look_ahead(&self) -> usize {
            32
        }

        fn batch_duration(&self) -> Option<Duration> {
            Some(Duration::from_secs(1))
        }
    }

    impl Workers for Far {
        fn shares_memory(&self) -> bool {
            false
        }
    }

    /// Times of so many tasks, each of about so many milliseconds.
    fn times(tasks: usize, milliseconds: u64) -> Vec<TaskTimes> {
        let mut laps = Laps::start_in_thread(tasks);
        let nap = || std::thread::sleep(Duration::from_millis(milliseconds));
        repeat_with(nap).take(tasks).for_each(|()| laps.lap(0));
        laps.finish()
    }

    #[test]
    fn few_batches_are_ahead_as_long_as_they_grow() {
        let mut size = BatchSize::new(&Far, None, &Order::default());
        assert_eq!(size.ahead(&Far), 6);
        size.learn(&times(1, 1));
        assert_eq!((size.size, size.ahead(&Far)), (2, 12));
        // One that was sent before says nothing.
        size.learn(&times(1, 1));
        assert_eq!((size.size, size.ahead(&Far)), (2, 12));
        // As long as a batch should be.
        size.learn(&times(2, 550));
        assert_eq!((size.size, size.ahead(&Far)), (2, 64));
        assert_eq!(
            BatchSize::new(&Far, Some(3), &Order::default()).ahead(&Far),
            96,
            "a size that is given"
        );
    }

    #[test]
    fn more_is_ahead_where_the_dearest_are_done_and_what_follows_is_short() {
        let dearest_first = Order::longest_first(&[2.0, 1.0]).unwrap();
        let ahead = |order: &Order, milliseconds| {
            let mut size = BatchSize::new(&Far, Some(1), order);
            size.learn(&times(1, milliseconds));
            size.ahead(&Far)
        };
        assert_eq!(BatchSize::new(&Far, Some(1), &dearest_first).ahead(&Far), 32);
        assert_eq!(ahead(&dearest_first, 6), 32);
        assert_eq!(ahead(&dearest_first, 0), 64);
        assert_eq!(ahead(&Order::default(), 0), 32);
    }
}
