//! Wall time and CPU time: of calls, of tasks, of any piece of work.
//!
//! This is the one place that reads clocks.

mod laps;
mod moment;
mod noted;
mod record;
mod records;
mod replay;
mod run;
mod states;
mod stopwatch;
mod summary;
mod timing;
mod trace;
pub(crate) mod units;

pub(crate) use self::laps::{Laps, TaskTimes, times_to_bytes};
pub(crate) use self::moment::Moment;
pub(crate) use self::noted::{used_in_other_processes, used_in_other_threads, wait_for_lock};
pub use self::record::TaskRecord;
pub(crate) use self::records::Segment;
pub use self::records::TaskRecords;
pub use self::run::{Measured, Run};
pub(crate) use self::states::ThreadStart;
pub(crate) use self::stopwatch::Stopwatch;
pub use self::stopwatch::time;
pub(crate) use self::summary::{Row, Summary};
pub use self::timing::Timing;
pub use self::trace::Trace;
