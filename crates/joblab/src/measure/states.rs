//! Where the time of a thread's tasks goes: the thread executes, is runnable while no CPU is free, or is
//! blocked. Those are the states of Gregg's Thread State Analysis; the third is what is left.

use std::cell::Cell;
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

use super::moment::Moment;
use super::noted::Noted;
use crate::os::{self, RunnableClock};

/// In nanoseconds, as all here: a reading of the runnable time takes some five thousand of them, so it is
/// made where a task was off the CPU for longer than this.
const WORTH_READING: u64 = 50_000;
/// What was read longer ago is read anew when tasks start: the thread may have waited for a CPU between
/// them.
const FRESH: u64 = 1_000_000;
/// How often it is tried to read that clock without waiting for a CPU meanwhile.
const MOST_READINGS: u32 = 10;
/// To start a program and wait for its end takes longer than this.
const PROGRAM: u64 = 100_000;

/// What tasks used.
pub(super) struct Used {
    pub(super) cpu: u64,
    /// None where the system does not tell.
    pub(super) runnable: Option<u64>,
    pub(super) lock_wait: u64,
}

/// The clocks of the tasks that run in a thread, one after the other.
pub(super) struct Clocks {
    cpu: CpuClock,
    noted: Noted,
    seen: Seen,
}

enum CpuClock {
    /// The thread shares its process with others.
    Thread(ThreadTime),
    /// The process does nothing else.
    Process(ProcessTime),
}

/// What was last read of clocks that are not read each time.
#[derive(Clone, Copy)]
struct Seen {
    at: Moment,
    runnable: Option<u64>,
    /// The CPU time of the process's children.
    children: u64,
}

thread_local! {
    /// From one batch of the thread to the next one.
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

impl Clocks {
    /// Of a thread that shares its process with others, and when they were read.
    pub(super) fn of_thread() -> (Self, Moment) {
        Clocks::start(CpuClock::Thread(ThreadTime::now()))
    }

    /// Of a process that does nothing else.
    pub(super) fn of_process() -> (Self, Moment) {
        Clocks::start(CpuClock::Process(ProcessTime::now()))
    }

    fn start(cpu: CpuClock) -> (Self, Moment) {
        let (seen, now) = Seen::fresh(matches!(cpu, CpuClock::Process(_)));
        (Clocks { cpu, noted: Noted::here(), seen }, now)
    }

    /// What was used since the last reading, `wall` ago.
    pub(super) fn read(&mut self, wall: u64, now: Moment) -> Used {
        let noted = self.noted.advance();
        let cpu = match &mut self.cpu {
            CpuClock::Thread(last) => {
                let time = ThreadTime::now();
                let own = time.duration_since(std::mem::replace(last, time));
                nanoseconds(own + noted.cpu_in_threads + noted.cpu_in_processes)
            }
            CpuClock::Process(last) => {
                let time = ProcessTime::now();
                let own = time.duration_since(std::mem::replace(last, time));
                let children = if wall < PROGRAM { 0 } else { self.seen.children() };
                // The workers of a call inside of a task are children too, from their end on.
                nanoseconds(own) + children.max(nanoseconds(noted.cpu_in_processes))
            }
        };
        let off_cpu = wall.saturating_sub(cpu);
        let runnable = self.seen.runnable(off_cpu, now);
        SEEN.set(Some(self.seen));
        Used { cpu, runnable, lock_wait: nanoseconds(noted.lock_wait) }
    }
}

/// What is known of threads that are started from now on: they have waited for no CPU yet. To read that
/// in a new thread takes as long as to start it, since `/proc` makes its files anew for each thread.
#[derive(Clone, Copy)]
pub(crate) struct ThreadStart(Seen);

impl ThreadStart {
    pub(crate) fn now() -> Self {
        let runnable = RunnableClock::AT_START.map(nanoseconds);
        ThreadStart(Seen { at: Moment::now(), runnable, children: 0 })
    }

    /// Notes it, in a thread that has been started since.
    pub(crate) fn note(self) {
        SEEN.set(Some(self.0));
    }
}

impl Seen {
    /// What is known when tasks start, and when that is. `counts_children`: whether those of the process
    /// are the tasks'.
    fn fresh(counts_children: bool) -> (Seen, Moment) {
        let now = Moment::now();
        let before = SEEN.get();
        if let Some(seen) = before.filter(|seen| now.nanoseconds_since(seen.at) < FRESH) {
            return (seen, now);
        }
        let children = match before {
            Some(seen) => seen.children,
            None if counts_children => nanoseconds(os::cpu_of_children()),
            None => 0,
        };
        // What the thread waits for a CPU behind the reading would be the first task's.
        let mut readings = 0;
        loop {
            let asked = Moment::now();
            let runnable = RunnableClock::open().and_then(RunnableClock::read).map(nanoseconds);
            let at = Moment::now();
            readings += 1;
            let is_quick = at.nanoseconds_since(asked) < WORTH_READING;
            if is_quick || runnable.is_none() || readings == MOST_READINGS {
                return (Seen { at, runnable, children }, at);
            }
        }
    }

    /// For how long the thread was runnable since that was last read, of the time that it was off the CPU.
    fn runnable(&mut self, off_cpu: u64, now: Moment) -> Option<u64> {
        let before = self.runnable?;
        if off_cpu < WORTH_READING {
            return Some(0);
        }
        let clock = RunnableClock::open()?;
        // If the thread has waited for a CPU since its task ended, that is not the task's.
        let late = Moment::now().nanoseconds_since(now).saturating_sub(WORTH_READING);
        let time = nanoseconds(clock.read()?);
        (self.at, self.runnable) = (now, Some(time));
        Some(time.saturating_sub(before).saturating_sub(late).min(off_cpu))
    }

    /// What the children have used since that was last read.
    fn children(&mut self) -> u64 {
        let used = nanoseconds(os::cpu_of_children());
        used - std::mem::replace(&mut self.children, used).min(used)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}
