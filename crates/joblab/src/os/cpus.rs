//! How many CPUs there are to share.

use std::thread::available_parallelism;

/// The number of CPUs that this process may use: affinity and the container's quota count.
pub fn cpu_count() -> usize {
    available_parallelism().map_or(1, usize::from)
}
