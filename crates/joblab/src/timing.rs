//! Wall time and CPU time: the one place that reads clocks.

use std::fmt;
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

/// Where the time of a piece of work went.
///
/// Displays as the tutorial prints it:
///
/// ```
/// use std::time::Duration;
/// # use joblab::Timing;
/// let timing = Timing {
///     wall: Duration::from_millis(4_717),
///     cpu: Duration::from_millis(13_340),
///     worker_cpu: Duration::ZERO,
/// };
/// assert_eq!(timing.to_string(), "wall time 4.717 s and cpu time 13.340 s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

impl Timing {
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

fn ratio(numerator: Duration, denominator: Duration) -> f64 {
    if denominator.is_zero() {
        0.0
    } else {
        numerator.as_secs_f64() / denominator.as_secs_f64()
    }
}

/// Seconds up to a minute, minutes above: as joblib's `short_format_time` (`joblib/logger.py`).
/// Both times take the unit of the longer one, so that a reader compares numbers and not units.
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) = if self.wall.max(self.cpu).as_secs() >= 60 {
            ("min", 60.0)
        } else {
            ("s", 1.0)
        };
        let wall = self.wall.as_secs_f64() / seconds;
        let cpu = self.cpu.as_secs_f64() / seconds;
        write!(f, "wall time {wall:.3} {unit} and cpu time {cpu:.3} {unit}")
    }
}

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
    (value, stopwatch.stop(Duration::ZERO))
}

/// A moment on the monotonic clock, which all processes of a machine share (clock_gettime(2)).
#[derive(Clone, Copy)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// `Instant` reads the same clock, but cannot travel to another process.
    #[allow(unsafe_code)]
    pub(crate) fn now() -> Self {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` has room for the answer, and this clock is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
        Moment(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    pub(crate) fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Moment::now().since(self)
    }

    pub(crate) fn to_nanoseconds(self) -> u64 {
        self.0.as_nanos() as u64
    }

    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Moment(Duration::from_nanos(nanoseconds))
    }
}

/// The clocks of a whole call: wall and this process.
pub(crate) struct Stopwatch {
    wall: Moment,
    process: ProcessTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch {
            wall: Moment::now(),
            process: ProcessTime::now(),
        }
    }

    /// The moment from which the starts of the call's tasks are counted.
    pub(crate) fn origin(&self) -> Moment {
        self.wall
    }

    pub(crate) fn stop(&self, worker_cpu: Duration) -> Timing {
        Timing {
            wall: self.wall.elapsed(),
            cpu: self.process.elapsed(),
            worker_cpu,
        }
    }
}

/// The clocks of one task, read where it runs.
pub(crate) struct TaskClock {
    wall: Moment,
    cpu: CpuClock,
}

enum CpuClock {
    Thread(ThreadTime),
    Process(ProcessTime),
}

/// What a [`TaskClock`] measured.
pub(crate) struct TaskTimes {
    pub(crate) start: Moment,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl TaskClock {
    /// For a thread that shares its process with others.
    pub(crate) fn start_in_thread() -> Self {
        TaskClock {
            wall: Moment::now(),
            cpu: CpuClock::Thread(ThreadTime::now()),
        }
    }

    /// For a process that does nothing but this task: threads that the task starts count too.
    pub(crate) fn start_in_process() -> Self {
        TaskClock {
            wall: Moment::now(),
            cpu: CpuClock::Process(ProcessTime::now()),
        }
    }

    pub(crate) fn stop(&self) -> TaskTimes {
        TaskTimes {
            start: self.wall,
            wall: self.wall.elapsed(),
            cpu: match &self.cpu {
                CpuClock::Thread(clock) => clock.elapsed(),
                CpuClock::Process(clock) => clock.elapsed(),
            },
        }
    }
}
