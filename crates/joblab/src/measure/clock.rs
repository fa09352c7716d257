//! Clocks: moments, and the laps of tasks that run one after the other.

use std::time::Duration;

use super::cpu::CpuClock;
use super::timing::ratio;
use crate::os;

/// A moment on the monotonic clock, which all processes of a machine share (clock_gettime(2)), in
/// nanoseconds: a task that takes some fifty of them is measured too.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    /// `Instant` reads the same clock, but cannot travel to another process.
    pub(crate) fn now() -> Self {
        Moment(os::monotonic_nanoseconds())
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
            let wall: Duration = laps.iter().map(|lap| lap.wall).sum();
            let busy = ratio(cpu, wall);
            for lap in laps {
                lap.cpu = Duration::from_nanos((lap.wall.as_nanos() as f64 * busy) as u64);
            }
        }
        self.unread = self.laps.len();
    }
}
