//! The lock that plays Python's GIL: one per process, whichever cell calls.

use std::sync::Mutex;

use crate::measure::wait_for_lock;
use crate::os::{lock, process_wide};

process_wide! {
    static GIL: Mutex<()> = Mutex::new(()); as "joblab_gil"
}

/// Runs `f` while holding the lock that plays Python's GIL.
///
/// How long the call waits for the lock is counted for the task that makes it
/// ([`TaskRecord::lock_wait`](crate::TaskRecord::lock_wait)).
///
/// There is one lock in a process; a worker process has its own. A panic in `f` leaves the lock
/// usable. The lock does not nest: `f` must not call `with_gil` itself, or anything that does,
/// such as [`wait_loop_withgil`](crate::wait_loop_withgil).
///
/// ```
/// let answer = joblab::with_gil(|| 6 * 7);
/// assert_eq!(answer, 42);
/// ```
pub fn with_gil<T>(f: impl FnOnce() -> T) -> T {
    // The lock guards time, not data: a panic cannot have left anything half done under it.
    let _held = wait_for_lock(|| lock(GIL.get()));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_lock_usable() {
        let panicked = std::panic::catch_unwind(|| with_gil(|| panic!("while holding the lock")));
        assert!(panicked.is_err());
        assert_eq!(with_gil(|| 1), 1);
    }
}
