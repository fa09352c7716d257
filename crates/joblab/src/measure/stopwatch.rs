//! The clocks of a whole piece of work.

use std::time::Duration;

use cpu_time::ProcessTime;

use super::moment::Moment;
use super::timing::Timing;

/// Runs `f` and tells how much wall time and CPU time it took.
///
/// `worker_cpu` is zero here: only the [`Run`](crate::Run) of a call knows its workers.
///
/// ```
/// let (sum, timing) = joblab::time(|| (1..=10).sum::<u64>());
/// assert_eq!(sum, 55);
/// println!("{timing}");
/// ```
pub fn time<T>(f: impl FnOnce() -> T) -> (T, Timing) {
    let stopwatch = Stopwatch::start();
    let value = f();
    (value, stopwatch.stop())
}

/// The clocks of a whole call: wall and this process.
pub(crate) struct Stopwatch {
    wall: Moment,
    process: ProcessTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch { wall: Moment::now(), process: ProcessTime::now() }
    }

    /// The moment from which the starts of the call's tasks are counted.
    pub(crate) fn origin(&self) -> Moment {
        self.wall
    }

    /// The times up to now, without those of workers.
    pub(crate) fn stop(&self) -> Timing {
        Timing::new(self.wall.elapsed(), self.process.elapsed(), Duration::ZERO)
    }
}
