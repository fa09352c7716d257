//! [`TaskRecords`]: the records of a call's tasks, kept as they came.

use std::fmt;
use std::ops::{Deref, Range};
use std::slice;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::laps::{Sums, TaskTimes};
use super::moment::Moment;
use super::record::TaskRecord;
use super::timing::Timing;
use crate::os::thread_name;

/// The records of a call's tasks, in the order of the tasks: a slice of [`TaskRecord`], made when it is
/// first looked at. Until then a task takes half of that memory, and what a batch's tasks share stands
/// once.
///
/// ```
/// # use joblab::Parallel;
/// let run = Parallel::new(2).map(|n: u64| n + 1, 0..10)?;
/// assert_eq!(run.tasks.len(), 10);
/// assert!(run.tasks[9].start < run.timing.wall);
/// # Ok::<(), joblab::Error>(())
/// ```
#[derive(Clone)]
pub struct TaskRecords {
    /// When the call began.
    origin: Moment,
    /// In the order of the tasks.
    segments: Vec<Segment>,
    all: OnceLock<Vec<TaskRecord>>,
}

/// What was measured of tasks that one worker ran and that follow each other in the list.
#[derive(Clone)]
pub(crate) struct Segment {
    /// The first of them.
    pub(crate) first: usize,
    pub(crate) pid: u32,
    pub(crate) thread: Arc<str>,
    pub(crate) times: Times,
    /// Whether an earlier call has run them.
    pub(crate) resumed: bool,
}

/// The times of one task, which may be one of a million, or of several.
#[derive(Clone)]
pub(crate) enum Times {
    One(TaskTimes),
    Several(Vec<TaskTimes>),
}

impl From<Vec<TaskTimes>> for Times {
    fn from(times: Vec<TaskTimes>) -> Self {
        if let [one] = times[..] { Times::One(one) } else { Times::Several(times) }
    }
}

impl Deref for Times {
    type Target = [TaskTimes];

    fn deref(&self) -> &[TaskTimes] {
        match self {
            Times::One(one) => slice::from_ref(one),
            Times::Several(times) => times,
        }
    }
}

impl Segment {
    /// A task whose result an earlier call has left in a file.
    pub(crate) fn resumed(task: usize) -> Self {
        Segment {
            first: task,
            pid: std::process::id(),
            thread: thread_name().into(),
            times: Times::One(TaskTimes::of_nothing()),
            resumed: true,
        }
    }

    /// The places of the tasks in the list.
    pub(crate) fn tasks(&self) -> Range<usize> {
        self.first..self.first + self.times.len()
    }

    /// The tasks at these places in it.
    pub(crate) fn part(&self, places: Range<usize>) -> Segment {
        Segment {
            first: self.first + places.start,
            pid: self.pid,
            thread: Arc::clone(&self.thread),
            times: self.times[places].to_vec().into(),
            resumed: self.resumed,
        }
    }

    fn records(&self, origin: Moment) -> impl Iterator<Item = TaskRecord> {
        (self.first..).zip(self.times.iter()).map(move |(index, times)| TaskRecord {
            index,
            pid: self.pid,
            thread: Arc::clone(&self.thread),
            start: times.start().since(origin),
            wall: times.wall(),
            carried: times.carried(),
            cpu: times.cpu(),
            runnable: times.runnable(),
            lock_wait: times.lock_wait(),
            resumed: self.resumed,
        })
    }
}

impl TaskRecords {
    /// Of a call that began at a moment. The error is the index of the first task of which nothing is
    /// known, though something is of a later one.
    pub(crate) fn new(origin: Moment, mut segments: Vec<Segment>) -> Result<Self, usize> {
        segments.sort_unstable_by_key(|segment| segment.first);
        let mut next = 0;
        for segment in &segments {
            if segment.first != next {
                return Err(next);
            }
            next = segment.tasks().end;
        }
        Ok(TaskRecords { origin, segments, all: OnceLock::new() })
    }

    /// The records of tasks that were started in another order than the list's: `index` tells which task
    /// of the list was started at a place.
    pub(crate) fn with_indices(&self, index: impl Fn(usize) -> usize) -> Self {
        let mut records: Vec<TaskRecord> = self.to_vec();
        records.iter_mut().for_each(|record| record.index = index(record.index));
        records.sort_unstable_by_key(|record| record.index);
        records.into()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.segments.last().map_or_else(|| self.len(), |last| last.tasks().end)
    }

    /// How many of them an earlier call has run.
    pub(crate) fn resumed(&self) -> usize {
        match self.all.get() {
            Some(all) => all.iter().filter(|task| task.resumed).count(),
            None => {
                let resumed = self.segments.iter().filter(|segment| segment.resumed);
                resumed.map(|segment| segment.times.len()).sum()
            }
        }
    }

    /// Bytes of all arguments and results that were carried.
    pub(crate) fn carried(&self) -> u64 {
        match self.all.get() {
            Some(all) => all.iter().map(|task| task.carried).sum(),
            None => self.times().map(TaskTimes::carried).sum(),
        }
    }

    /// Adds what the tasks took, all together, to a call's times.
    pub(crate) fn add_to(&self, timing: &mut Timing) {
        let sums: Sums = self.times().collect();
        timing.worker_cpu = Duration::from_nanos(sums.cpu);
        timing.lock_wait = Duration::from_nanos(sums.lock_wait);
        timing.runnable = sums.runnable().map(Duration::from_nanos);
        timing.blocked = sums.runnable().map(|_| Duration::from_nanos(sums.blocked));
    }

    fn times(&self) -> impl Iterator<Item = &TaskTimes> {
        self.segments.iter().flat_map(|segment| segment.times.iter())
    }
}

impl Deref for TaskRecords {
    type Target = [TaskRecord];

    fn deref(&self) -> &[TaskRecord] {
        self.all.get_or_init(|| {
            self.segments.iter().flat_map(|segment| segment.records(self.origin)).collect()
        })
    }
}

/// Records that were made elsewhere, in the order of the tasks.
impl From<Vec<TaskRecord>> for TaskRecords {
    fn from(records: Vec<TaskRecord>) -> Self {
        let segments = Vec::new();
        TaskRecords { origin: Moment::now(), segments, all: OnceLock::from(records) }
    }
}

impl<'a> IntoIterator for &'a TaskRecords {
    type Item = &'a TaskRecord;
    type IntoIter = slice::Iter<'a, TaskRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for TaskRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
