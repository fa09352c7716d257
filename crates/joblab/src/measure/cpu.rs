//! The CPU time of tasks: that of the thread or the process which runs them, and what calls inside of
//! them used elsewhere.

use std::cell::Cell;
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

use crate::os::{cpu_of_children, process_wide};

/// The CPU time of the tasks that run in a thread, one after the other.
pub(super) struct CpuClock {
    own: Own,
    elsewhere: Elsewhere,
}

enum Own {
    /// The thread shares its process with others.
    Thread(ThreadTime),
    /// The process does nothing else; and what its children have used.
    Process(ProcessTime, Duration),
}

impl CpuClock {
    pub(super) fn of_thread() -> Self {
        CpuClock { own: Own::Thread(ThreadTime::now()), elsewhere: Elsewhere::here() }
    }

    pub(super) fn of_process() -> Self {
        let own = Own::Process(ProcessTime::now(), cpu_of_children());
        CpuClock { own, elsewhere: Elsewhere::here() }
    }

    /// The CPU time since the last reading.
    pub(super) fn read(&mut self) -> Duration {
        let elsewhere = self.elsewhere.advance(Elsewhere::here());
        match &mut self.own {
            Own::Thread(last) => {
                let now = ThreadTime::now();
                let own = now.duration_since(std::mem::replace(last, now));
                own + elsewhere.threads + elsewhere.processes
            }
            Own::Process(last, children) => {
                let now = ProcessTime::now();
                let own = now.duration_since(std::mem::replace(last, now));
                let used = cpu_of_children();
                let waited_for = used.saturating_sub(std::mem::replace(children, used));
                // The workers of a call inside of a task are children too, from their end on.
                own + elsewhere.processes.max(waited_for)
            }
        }
    }
}

/// What the tasks of calls that a thread has made used in other threads than that one.
#[derive(Clone, Copy, Default)]
struct Elsewhere {
    /// Of this process.
    threads: Duration,
    processes: Duration,
}

impl Elsewhere {
    /// Of the current thread.
    fn here() -> Self {
        EXCHANGE.get()(None)
    }

    /// Becomes the later one, and returns the difference.
    fn advance(&mut self, later: Elsewhere) -> Elsewhere {
        let before = std::mem::replace(self, later);
        Elsewhere {
            threads: later.threads.saturating_sub(before.threads),
            processes: later.processes.saturating_sub(before.processes),
        }
    }
}

/// Counts CPU time for the task that runs in this thread: that of a call's tasks in other threads of
/// this process.
pub(crate) fn used_in_other_threads(cpu: Duration) {
    let before = Elsewhere::here();
    EXCHANGE.get()(Some(Elsewhere { threads: before.threads + cpu, ..before }));
}

/// The same for a call's tasks in other processes.
pub(crate) fn used_in_other_processes(cpu: Duration) {
    let before = Elsewhere::here();
    EXCHANGE.get()(Some(Elsewhere { processes: before.processes + cpu, ..before }));
}

/// Gives the current thread a new value where there is one, and returns the old one.
type Exchange = fn(Option<Elsewhere>) -> Elsewhere;

process_wide! {
    /// Of all copies of this crate: a call may be one of another cell than its task.
    static EXCHANGE: Exchange = exchange_here; as "joblab_cpu_elsewhere"
}

fn exchange_here(new: Option<Elsewhere>) -> Elsewhere {
    const NONE: Elsewhere = Elsewhere { threads: Duration::ZERO, processes: Duration::ZERO };
    thread_local!(static ELSEWHERE: Cell<Elsewhere> = const { Cell::new(NONE) });
    let old = ELSEWHERE.get();
    ELSEWHERE.set(new.unwrap_or(old));
    old
}
