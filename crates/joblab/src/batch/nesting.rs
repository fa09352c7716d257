//! Calls inside of tasks: how deep they are, how many CPUs are theirs, and whose workers they would
//! wait for.

use std::cell::Cell;

use crate::os::{cpu_count, process_wide};

/// Calls this deep run in the thread that makes them: two levels of pools are enough to fill any
/// machine. joblib/_parallel_backends.py, `get_nested_backend`.
const DEEPEST_POOL: u32 = 2;
/// As many calls inside of each other are no plan but a mistake. loky's `LOKY_MAX_DEPTH`.
pub(crate) const MAX_DEPTH: u32 = 10;

/// Where a thread is: in no task, or in a task of a call, which may be in a task itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nesting {
    pub(crate) depth: u32,
    /// How many tasks share the CPUs, as far as this one knows.
    sharers: u32,
    /// The pools, by their owners' addresses, whose workers are busy with the tasks around.
    pools: [usize; DEEPEST_POOL as usize],
}

impl Nesting {
    /// In the main program, or in a thread of its own.
    pub(crate) const NONE: Nesting =
        Nesting { depth: 0, sharers: 1, pools: [0; DEEPEST_POOL as usize] };

    /// Of the current thread.
    pub(crate) fn here() -> Nesting {
        EXCHANGE.get()(None)
    }

    /// For the tasks of a call that is made here, on a pool of so many workers.
    pub(crate) fn inside(mut self, pool: usize, n_workers: usize) -> Nesting {
        self.sharers = self.sharers.saturating_mul(n_workers as u32).max(1);
        if let Some(place) = self.pools.get_mut(self.depth as usize) {
            *place = pool;
        }
        self.depth += 1;
        self
    }

    /// How many CPUs a call that is made here may count on.
    pub(crate) fn cpus(&self) -> usize {
        (cpu_count() / self.sharers as usize).max(1)
    }

    /// Whether a call that is made here should run in its own thread: deep inside of others, or
    /// where the pool's workers are waiting for it.
    pub(crate) fn needs_no_pool(&self, pool: usize) -> bool {
        self.depth >= DEEPEST_POOL || self.pools.contains(&pool)
    }

    /// Whether the tasks here are those of a call that a task has made.
    pub(crate) fn is_inside_of_a_task(&self) -> bool {
        self.depth > 1
    }

    /// Makes this the current thread's, as long as the guard lives.
    pub(crate) fn enter(self) -> Entered {
        let exchange = EXCHANGE.get();
        Entered { before: exchange(Some(self)), exchange: *exchange }
    }

    /// Little-endian numbers: how it travels to a worker process, which knows none of our pools.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.depth) << 32 | u64::from(self.sharers)).to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Nesting {
        let number = u64::from_le_bytes(bytes);
        Nesting { depth: (number >> 32) as u32, sharers: (number as u32).max(1), ..Nesting::NONE }
    }
}

/// Puts back what was before.
pub(crate) struct Entered {
    before: Nesting,
    exchange: Exchange,
}

impl Drop for Entered {
    fn drop(&mut self) {
        (self.exchange)(Some(self.before));
    }
}

/// Gives the current thread a new value where there is one, and returns the old one.
type Exchange = fn(Option<Nesting>) -> Nesting;

process_wide! {
    /// Of all copies of this crate: a thread runs tasks of any cell.
    static EXCHANGE: Exchange = exchange_here; as "joblab_nesting"
}

fn exchange_here(new: Option<Nesting>) -> Nesting {
    thread_local!(static NESTING: Cell<Nesting> = const { Cell::new(Nesting::NONE) });
    let old = NESTING.get();
    NESTING.set(new.unwrap_or(old));
    old
}
