//! [`Timing`]: where the time of a piece of work went.

use std::fmt;
use std::time::Duration;

/// Where the time of a piece of work went.
///
/// Displays as the tutorial prints it:
///
/// ```
/// use std::time::Duration;
/// # use joblab::Timing;
/// let [wall, cpu] = [4_717, 13_340].map(Duration::from_millis);
/// let timing = Timing::new(wall, cpu, Duration::ZERO);
/// assert_eq!(timing.to_string(), "wall time 4.717 s and cpu time 13.340 s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Elapsed time on a monotonic clock: what a watch on the wall shows.
    pub wall: Duration,
    /// CPU time, user and system, of all threads of this process: what Python's
    /// `time.process_time` shows.
    pub cpu: Duration,
    /// CPU time of the tasks, measured by the workers themselves. Where workers are threads of
    /// this process, it is a part of `cpu`; where they are other processes, `cpu` knows nothing
    /// of it.
    pub worker_cpu: Duration,
    /// For how long tasks could have executed and no CPU was free, all together. None where the system
    /// does not tell of each of them, and where there were no tasks.
    pub runnable: Option<Duration>,
    /// For how long tasks were blocked, all together: [`TaskRecord::blocked`](crate::TaskRecord::blocked).
    pub blocked: Option<Duration>,
    /// For how long tasks waited for the lock of [`with_gil`](crate::with_gil), all together.
    pub lock_wait: Duration,
}

impl Timing {
    /// Times that were measured elsewhere.
    pub fn new(wall: Duration, cpu: Duration, worker_cpu: Duration) -> Self {
        Timing { wall, cpu, worker_cpu, ..Timing::default() }
    }

    /// CPU time used anywhere: here or, if that is more, in the workers.
    ///
    /// Not their sum: the time of worker threads is in both.
    pub fn total_cpu(&self) -> Duration {
        self.cpu.max(self.worker_cpu)
    }

    /// CPU utilisation: how many CPUs were busy on average, `total_cpu / wall`.
    ///
    /// 1.0 is one CPU busy all the time; two threads that never wait reach 2.0. It is 0.0 where
    /// no time passed.
    pub fn utilisation(&self) -> f64 {
        ratio(self.total_cpu(), self.wall)
    }

    /// Speedup against a baseline of the same work: `baseline.wall / self.wall`.
    ///
    /// 2.0 is twice as fast as the baseline. It is 0.0 where no time passed.
    pub fn speedup(&self, baseline: &Timing) -> f64 {
        ratio(baseline.wall, self.wall)
    }
}

/// 0.0 where no time passed.
pub(super) fn ratio(numerator: Duration, denominator: Duration) -> f64 {
    if denominator.is_zero() { 0.0 } else { numerator.as_secs_f64() / denominator.as_secs_f64() }
}

/// Seconds up to a minute, minutes above: as joblib's `short_format_time` (`joblib/logger.py`).
/// Both times take the unit of the longer one, so that a reader compares numbers and not units.
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            if self.wall.max(self.cpu).as_secs() >= 60 { ("min", 60.0) } else { ("s", 1.0) };
        let wall = self.wall.as_secs_f64() / seconds;
        let cpu = self.cpu.as_secs_f64() / seconds;
        write!(f, "wall time {wall:.3} {unit} and cpu time {cpu:.3} {unit}")
    }
}
