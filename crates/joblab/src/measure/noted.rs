//! What the code that a task runs has noted for it: time that its thread's own clocks do not show.

use std::cell::Cell;
use std::time::Duration;

use super::moment::Moment;
use crate::os::process_wide;

/// The sums of a thread, which only grow.
#[derive(Clone, Copy)]
pub(super) struct Noted {
    /// The CPU time of the tasks of calls that the thread has made, in other threads of this process.
    pub(super) cpu_in_threads: Duration,
    /// The same in other processes.
    pub(super) cpu_in_processes: Duration,
    /// For how long the thread has waited for the lock that plays the GIL.
    pub(super) lock_wait: Duration,
}

const NOTHING: Noted = Noted {
    cpu_in_threads: Duration::ZERO,
    cpu_in_processes: Duration::ZERO,
    lock_wait: Duration::ZERO,
};

impl Noted {
    /// Of the current thread.
    pub(super) fn here() -> Self {
        EXCHANGE.get()(None)
    }

    /// Becomes what it is now, and returns the difference.
    pub(super) fn advance(&mut self) -> Noted {
        let before = std::mem::replace(self, Noted::here());
        Noted {
            cpu_in_threads: self.cpu_in_threads.saturating_sub(before.cpu_in_threads),
            cpu_in_processes: self.cpu_in_processes.saturating_sub(before.cpu_in_processes),
            lock_wait: self.lock_wait.saturating_sub(before.lock_wait),
        }
    }
}

fn note(change: impl FnOnce(&mut Noted)) {
    let mut noted = Noted::here();
    change(&mut noted);
    EXCHANGE.get()(Some(noted));
}

/// Counts CPU time for the task that runs in this thread: that of a call's tasks in other threads of
/// this process.
pub(crate) fn used_in_other_threads(cpu: Duration) {
    note(|noted| noted.cpu_in_threads += cpu);
}

/// The same for a call's tasks in other processes.
pub(crate) fn used_in_other_processes(cpu: Duration) {
    note(|noted| noted.cpu_in_processes += cpu);
}

/// Waits for the lock that plays the GIL, and counts for how long.
pub(crate) fn wait_for_lock<T>(wait: impl FnOnce() -> T) -> T {
    let start = Moment::now();
    let got = wait();
    note(|noted| noted.lock_wait += start.elapsed());
    got
}

/// Gives the current thread a new value where there is one, and returns the old one.
type Exchange = fn(Option<Noted>) -> Noted;

process_wide! {
    /// Of all copies of this crate: a call may be one of another cell than its task.
    static EXCHANGE: Exchange = exchange_here; as "joblab_noted"
}

fn exchange_here(new: Option<Noted>) -> Noted {
    thread_local!(static NOTED: Cell<Noted> = const { Cell::new(NOTHING) });
    let old = NOTED.get();
    NOTED.set(new.unwrap_or(old));
    old
}
