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

/// A moment on the monotonic clock, which all processes of a machine share (clock_gettime(2)), in
/// nanoseconds: a task that takes some fifty of them is measured too.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    /// `Instant` reads the same clock, but cannot travel to another process.
    #[allow(unsafe_code)]
    pub(crate) fn now() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` has room for the answer, and this clock is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
        Moment(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Moment::now().since(self)
    }
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

    pub(crate) fn stop(&self, worker_cpu: Duration) -> Timing {
        Timing { wall: self.wall.elapsed(), cpu: self.process.elapsed(), worker_cpu }
    }
}

/// When a task started, and what it took.
#[derive(Clone, Copy)]
pub(crate) struct TaskTimes {
    pub(crate) start: Moment,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl TaskTimes {
    /// Nanoseconds, little-endian: how times travel between processes.
    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let times = [self.start.0, self.wall.as_nanos() as u64, self.cpu.as_nanos() as u64];
        for (place, time) in bytes.chunks_exact_mut(8).zip(times) {
            place.copy_from_slice(&time.to_le_bytes());
        }
        bytes
    }

    /// Tells the start on our clock, where the one that was read is so many nanoseconds ahead of it.
    pub(crate) fn read_ahead(&mut self, nanoseconds: i64) {
        self.start.0 = (self.start.0 as i64 - nanoseconds).max(0) as u64;
    }

    pub(crate) fn from_bytes(bytes: &[u8; 24]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks() else {
            return None;
        };
        let [start, wall, cpu] = [0, 1, 2].map(|place| u64::from_le_bytes(numbers[place]));
        let [wall, cpu] = [wall, cpu].map(Duration::from_nanos);
        Some(TaskTimes { start: Moment(start), wall, cpu })
    }
}

/// The clocks of tasks that run one after the other, read where they run.
///
/// The wall clock is read after each task. Reading a CPU clock is a system call, which takes longer
/// than a tiny task: it is read after tasks that took [`CPU_STEP`] together, and its time is divided
/// among them as their wall times are.
pub(crate) struct Laps {
    laps: Vec<TaskTimes>,
    /// The laps from this one on have no CPU time yet.
    unread: usize,
    last: Moment,
    cpu: CpuClock,
}

/// Some fifty times what a reading costs.
const CPU_STEP: Duration = Duration::from_micros(20);

enum CpuClock {
    Thread(ThreadTime),
    Process(ProcessTime),
}

impl CpuClock {
    /// The CPU time since the last reading.
    fn read(&mut self) -> Duration {
        match self {
            CpuClock::Thread(last) => {
                let now = ThreadTime::now();
                now.duration_since(std::mem::replace(last, now))
            }
            CpuClock::Process(last) => {
                let now = ProcessTime::now();
                now.duration_since(std::mem::replace(last, now))
            }
        }
    }
}

impl Laps {
    /// For tasks in a thread that shares its process with others.
    pub(crate) fn start_in_thread(expected: usize) -> Self {
        Laps::start(expected, CpuClock::Thread(ThreadTime::now()))
    }

    /// For tasks in a process that does nothing else: threads that they start count too.
    pub(crate) fn start_in_process(expected: usize) -> Self {
        Laps::start(expected, CpuClock::Process(ProcessTime::now()))
    }

    fn start(expected: usize, cpu: CpuClock) -> Self {
        Laps { laps: Vec::with_capacity(expected), unread: 0, last: Moment::now(), cpu }
    }

    /// Ends a task, and starts the next one.
    pub(crate) fn lap(&mut self) {
        let now = Moment::now();
        self.laps.push(TaskTimes {
            start: self.last,
            wall: now.since(self.last),
            cpu: Duration::ZERO,
        });
        self.last = now;
        if now.since(self.laps[self.unread].start) >= CPU_STEP {
            self.read_cpu();
        }
    }

    pub(crate) fn finish(mut self) -> Vec<TaskTimes> {
        if self.unread < self.laps.len() {
            self.read_cpu();
        }
        self.laps
    }

    fn read_cpu(&mut self) {
        let cpu = self.cpu.read();
        let laps = &mut self.laps[self.unread..];
        if let [lap] = laps {
            lap.cpu = cpu;
        } else {
            let wall: Duration = laps.iter().map(|lap| lap.wall).sum();
            let busy = ratio(cpu, wall);
            for lap in laps {
                lap.cpu = Duration::from_nanos((lap.wall.as_nanos() as f64 * busy) as u64);
            }
        }
        self.unread = self.laps.len();
    }
}
