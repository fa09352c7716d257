//! What each of some tasks took that run one after the other.

use std::time::Duration;

use super::moment::Moment;
use super::states::{Clocks, Used};

/// When a task started, and what it took: numbers of nanoseconds, since there is one of these for each
/// of a million tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskTimes {
    start: Moment,
    wall: u64,
    cpu: u64,
    /// [`NOT_TOLD`] where the system does not tell.
    runnable: u64,
    lock_wait: u64,
    /// How many bytes of argument and result were carried; none where they were not.
    carried: u64,
}

const NOT_TOLD: u64 = u64::MAX;

impl TaskTimes {
    /// How many numbers it is.
    pub(crate) const NUMBERS: usize = 6;
    /// How many bytes it travels as.
    pub(crate) const BYTES: usize = 8 * Self::NUMBERS;

    /// Of a task that did not run, now.
    pub(crate) fn of_nothing() -> Self {
        let start = Moment::now();
        TaskTimes { start, wall: 0, cpu: 0, runnable: 0, lock_wait: 0, carried: 0 }
    }

    pub(crate) fn start(&self) -> Moment {
        self.start
    }

    pub(crate) fn wall(&self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu)
    }

    pub(crate) fn runnable(&self) -> Option<Duration> {
        (self.runnable != NOT_TOLD).then_some(Duration::from_nanos(self.runnable))
    }

    pub(crate) fn lock_wait(&self) -> Duration {
        Duration::from_nanos(self.lock_wait)
    }

    pub(crate) fn carried(&self) -> u64 {
        self.carried
    }

    /// How times travel between processes.
    pub(crate) fn to_numbers(self) -> [u64; Self::NUMBERS] {
        [self.start.0, self.wall, self.cpu, self.runnable, self.lock_wait, self.carried]
    }

    /// The same numbers, little-endian.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        times_to_bytes(self.to_numbers())
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let numbers = bytes.as_chunks().0;
        let [start, wall, cpu, runnable, lock_wait, carried] =
            [0, 1, 2, 3, 4, 5].map(|place| u64::from_le_bytes(numbers[place]));
        TaskTimes { start: Moment(start), wall, cpu, runnable, lock_wait, carried }
    }

    /// Tells the start on our clock, where the one that was read is so many nanoseconds ahead of it.
    pub(crate) fn read_ahead(&mut self, nanoseconds: i64) {
        self.start.0 = (self.start.0 as i64 - nanoseconds).max(0) as u64;
    }
}

/// What tasks took all together, in nanoseconds. There may be millions of them: they are looked at once.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) cpu: u64,
    runnable: u64,
    /// Whether the system has told that of each of some tasks.
    is_told: bool,
    pub(super) blocked: u64,
    pub(super) lock_wait: u64,
}

impl Sums {
    pub(super) fn runnable(&self) -> Option<u64> {
        self.is_told.then_some(self.runnable)
    }
}

impl<'a> FromIterator<&'a TaskTimes> for Sums {
    fn from_iter<T: IntoIterator<Item = &'a TaskTimes>>(all: T) -> Self {
        let (mut sums, mut is_untold) = (Sums::default(), false);
        for times in all {
            let runnable = if times.runnable == NOT_TOLD { 0 } else { times.runnable };
            (sums.is_told, is_untold) = (true, is_untold | (times.runnable == NOT_TOLD));
            sums.cpu += times.cpu;
            sums.runnable += runnable;
            sums.blocked += times.wall.saturating_sub(times.cpu + runnable);
            sums.lock_wait += times.lock_wait;
        }
        sums.is_told &= !is_untold;
        sums
    }
}

/// Numbers of [`TaskTimes`] as they travel.
pub(crate) fn times_to_bytes(numbers: [u64; TaskTimes::NUMBERS]) -> [u8; TaskTimes::BYTES] {
    let mut bytes = [0; TaskTimes::BYTES];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// The clocks of tasks that run one after the other, read where they run.
///
/// The wall clock is read after each task. To read the others are system calls, which take longer than a
/// tiny task: they are read after tasks that took [`STEP`] together, and what they tell is divided among
/// these as their wall times are.
pub(crate) struct Laps {
    laps: Vec<TaskTimes>,
    /// The laps from this one on have nothing but wall times yet.
    unread: usize,
    last: Moment,
    clocks: Clocks,
}

/// Nanoseconds: some fifty times what a reading of the CPU clock costs.
const STEP: u64 = 20_000;

impl Laps {
    /// For tasks in a thread that shares its process with others.
    pub(crate) fn start_in_thread(expected: usize) -> Self {
        Laps::start(expected, Clocks::of_thread())
    }

    /// For tasks in a process that does nothing else.
    pub(crate) fn start_in_process(expected: usize) -> Self {
        Laps::start(expected, Clocks::of_process())
    }

    fn start(expected: usize, (clocks, last): (Clocks, Moment)) -> Self {
        Laps { laps: Vec::with_capacity(expected), unread: 0, last, clocks }
    }

    /// Ends a task, for which so many bytes were carried, and starts the next one.
    pub(crate) fn lap(&mut self, carried: u64) {
        let now = Moment::now();
        let (start, wall) = (self.last, now.nanoseconds_since(self.last));
        let (cpu, runnable, lock_wait) = (0, NOT_TOLD, 0);
        self.laps.push(TaskTimes { start, wall, cpu, runnable, lock_wait, carried });
        self.last = now;
        if now.nanoseconds_since(self.laps[self.unread].start) >= STEP {
            self.read();
        }
    }

    /// The last task that has ended; all but its wall time may not be read yet.
    pub(crate) fn last(&self) -> Option<TaskTimes> {
        self.laps.last().copied()
    }

    /// How many tasks have ended.
    pub(crate) fn count(&self) -> usize {
        self.laps.len()
    }

    pub(crate) fn finish(mut self) -> Vec<TaskTimes> {
        if self.unread < self.laps.len() {
            self.read();
        }
        self.laps
    }

    fn read(&mut self) {
        let laps = &mut self.laps[self.unread..];
        let wall = laps.iter().map(|lap| lap.wall).sum::<u64>();
        let Used { cpu, runnable, lock_wait } = self.clocks.read(wall, self.last);
        for lap in laps {
            let share = if lap.wall == wall { 1.0 } else { lap.wall as f64 / wall as f64 };
            let part = |time: u64| (time as f64 * share) as u64;
            (lap.cpu, lap.lock_wait) = (part(cpu), part(lock_wait));
            lap.runnable = runnable.map_or(NOT_TOLD, part);
        }
        self.unread = self.laps.len();
    }
}
