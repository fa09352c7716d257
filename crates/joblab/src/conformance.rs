//! What a call promises on every pool, each promise a small function that checks it: a test of a
//! pool of your own is one line.
//!
//! This module is there with the crate's feature `conformance`.

mod failures;
mod iterators;
mod limits;
mod order;
mod results;
mod resume;
mod suite;
mod workers;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::panic_message;
use crate::parallel::Parallel;

/// Checks a pool. `make` makes a `Parallel` of so many workers, without options.
///
/// ```no_run
/// # struct MyPool;
/// # impl MyPool {
/// #     fn start(_: usize) -> MyPool {
/// #         MyPool
/// #     }
/// # }
/// # impl joblab::Pool for MyPool {
/// #     fn n_workers(&self) -> usize {
/// #         1
/// #     }
/// #     fn submit(&self, job: joblab::Job) -> Result<(), joblab::Error> {
/// #         Ok(job.run())
/// #     }
/// # }
/// joblab::conformance::check(|n| joblab::Parallel::with_pool(MyPool::start(n as usize)));
/// ```
///
/// It takes some seconds, and leaves files in the system's temporary folder while it runs.
///
/// # Panics
/// Where the pool breaks a promise, with its name and what was seen.
pub fn check(make: impl Fn(i32) -> Parallel) {
    let topics = [
        results::PROMISES,
        workers::PROMISES,
        failures::PROMISES,
        limits::PROMISES,
        iterators::PROMISES,
        resume::PROMISES,
        order::PROMISES,
    ];
    for (name, promise) in topics.into_iter().flatten() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| promise(&make))) {
            let seen = panic_message(payload);
            panic!("the pool breaks the promise {name}: {seen}");
        }
    }
}
