//! What the tutorial's cells use: its loop, the lock that plays Python's GIL, and a task that tells
//! where it ran.

mod gil;
mod workload;

pub use self::gil::with_gil;
pub use self::workload::{find_ids, wait_loop_nogil, wait_loop_withgil};
