//! The call itself, once for every backend: pulls tasks, hands them out in batches, takes in their
//! outcomes, tries again, measures, and stops when it has to.
//!
//! [`engine`] knows ranges of tasks, times and failures, and no types: it is compiled once.
//! [`tasks`] and [`results`] have the types, and are compiled in each notebook cell that calls.

mod batch_size;
mod cancel;
mod collect;
mod engine;
mod intake;
mod keeper;
mod options;
mod progress;
mod results;
mod results_file;
mod resume;
mod retries;
mod tasks;
mod waiting;

pub use self::cancel::CancelToken;
pub(crate) use self::engine::Setup;
pub(crate) use self::options::Options;
pub use self::progress::Progress;
pub(crate) use self::results::{Ordered, Unordered, run, run_in_order, try_run};
pub(crate) use self::resume::ResumeFrom;
pub(crate) use self::tasks::{Borrowing, Calls};
