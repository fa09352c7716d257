//! Clocks: moments, and the laps of tasks that run one after the other.

use std::time::Duration;

use super::cpu::CpuClock;
use super::timing::ratio;

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

/// When a task started, and what it took.
#[derive(Clone, Copy)]
pub(crate) struct TaskTimes {
    pub(crate) start: Moment,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// How many bytes of argument and result were carried; none where they were not.
    pub(crate) carried: u64,
}

impl TaskTimes {
    /// How many bytes it travels as.
    pub(crate) const BYTES: usize = 32;

    /// Start, wall and CPU in nanoseconds, and what was carried: how times travel between processes.
    pub(crate) fn to_numbers(self) -> [u64; 4] {
        let [wall, cpu] = [self.wall, self.cpu].map(|time| time.as_nanos() as u64);
        [self.start.0, wall, cpu, self.carried]
    }

    /// The same numbers, little-endian.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        times_to_bytes(self.to_numbers())
    }

    /// Tells the start on our clock, where the one that was read is so many nanoseconds ahead of it.
    pub(crate) fn read_ahead(&mut self, nanoseconds: i64) {
        self.start.0 = (self.start.0 as i64 - nanoseconds).max(0) as u64;
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let numbers = bytes.as_chunks().0;
        let [start, wall, cpu, carried] =
            [0, 1, 2, 3].map(|place| u64::from_le_bytes(numbers[place]));
        let [wall, cpu] = [wall, cpu].map(Duration::from_nanos);
        TaskTimes { start: Moment(start), wall, cpu, carried }
    }
}

/// Numbers of [`TaskTimes`] as they travel.
pub(crate) fn times_to_bytes(numbers: [u64; 4]) -> [u8; TaskTimes::BYTES] {
    let mut bytes = [0; TaskTimes::BYTES];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
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

impl Laps {
    /// For tasks in a thread that shares its process with others.
    pub(crate) fn start_in_thread(expected: usize) -> Self {
        Laps::start(expected, CpuClock::of_thread())
    }

    /// For tasks in a process that does nothing else.
    pub(crate) fn start_in_process(expected: usize) -> Self {
        Laps::start(expected, CpuClock::of_process())
    }

    fn start(expected: usize, cpu: CpuClock) -> Self {
        Laps { laps: Vec::with_capacity(expected), unread: 0, last: Moment::now(), cpu }
    }

    /// Ends a task, for which so many bytes were carried, and starts the next one.
    pub(crate) fn lap(&mut self, carried: u64) {
        let now = Moment::now();
        let wall = now.since(self.last);
        self.laps.push(TaskTimes { start: self.last, wall, cpu: Duration::ZERO, carried });
        self.last = now;
        if now.since(self.laps[self.unread].start) >= CPU_STEP {
            self.read_cpu();
        }
    }

    /// The last task that has ended; its CPU time may not be read yet.
    pub(crate) fn last(&self) -> Option<TaskTimes> {
        self.laps.last().copied()
    }

    /// How many tasks have ended.
    pub(crate) fn count(&self) -> usize {
        self.laps.len()
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
            let nanoseconds = |lap: &TaskTimes| lap.wall.as_nanos() as u64;
            let wall = Duration::from_nanos(laps.iter().map(nanoseconds).sum());
            let busy = ratio(cpu, wall);
            for lap in laps {
                lap.cpu = Duration::from_nanos((nanoseconds(lap) as f64 * busy) as u64);
            }
        }
        self.unread = self.laps.len();
    }
}
