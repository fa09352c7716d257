//! [`Run`]: what a call gives back.

use std::fmt;

use super::records::TaskRecords;
use super::summary::Summary;
use super::timing::Timing;

/// The outcome of a call of [`Parallel::run`](crate::Parallel::run) or
/// [`map`](crate::Parallel::map).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Run<R> {
    /// The tasks' results, in the order of the tasks.
    pub results: Vec<R>,
    /// Wall time and CPU time of the whole call.
    pub timing: Timing,
    /// One record for each task, in the order of the tasks.
    pub tasks: TaskRecords,
    /// The number of workers in the pool: tasks that could run at the same time.
    pub n_workers: usize,
    /// Where the run is [computed](Self::replay) and not measured: the number of workers of the measured
    /// one.
    pub computed_from: Option<usize>,
}

impl<R> Run<R> {
    /// A run that was measured elsewhere, to be shown and drawn.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use joblab::{Run, TaskRecord, Timing};
    /// let [wall, cpu] = [5, 9].map(Duration::from_secs);
    /// let mut task = TaskRecord::new(0, "worker-0");
    /// (task.wall, task.cpu) = (wall, cpu);
    /// let run = Run::new(vec!["done"], Timing::new(wall, cpu, cpu), vec![task], 2);
    /// assert_eq!(run.estimated_speedup(), 1.8);
    /// ```
    pub fn new(
        results: Vec<R>,
        timing: Timing,
        tasks: impl Into<TaskRecords>,
        n_workers: usize,
    ) -> Self {
        Run { results, timing, tasks: tasks.into(), n_workers, computed_from: None }
    }

    /// How many of the tasks were not run, since their results were in the file of
    /// [`Parallel::resume`](crate::Parallel::resume).
    pub fn resumed(&self) -> usize {
        self.tasks.resumed()
    }

    /// An estimate of the speedup without a run on one worker: CPU time of the tasks / wall time.
    ///
    /// One worker alone is taken to need as much CPU time, though tasks often run slower beside
    /// others, and never to wait, though it too would wait for a disk: for tasks that mostly do, this
    /// is next to nothing, and the table of the run leaves it out. Where there has been a run on one
    /// worker, [`Timing::speedup`] tells. The estimated efficiency is this / `n_workers`.
    pub fn estimated_speedup(&self) -> f64 {
        self.summary().speedup()
    }

    pub(crate) fn summary(&self) -> Summary<'_> {
        Summary {
            timing: self.timing,
            tasks: &self.tasks,
            n_workers: self.n_workers,
            computed_from: self.computed_from,
        }
    }
}

/// A table of the run's numbers, for terminals.
impl<R> fmt::Display for Run<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary().text())
    }
}

/// What can be drawn as bars of time: a [`Run`], or a [`Timing`] of work that was not spread.
pub trait Measured {
    /// Wall time and CPU time.
    fn timing(&self) -> Timing;

    /// Over how many workers the work was spread, at least 1.
    fn n_workers(&self) -> usize;
}

impl<R> Measured for Run<R> {
    fn timing(&self) -> Timing {
        self.timing
    }

    fn n_workers(&self) -> usize {
        self.n_workers
    }
}

impl Measured for Timing {
    fn timing(&self) -> Timing {
        *self
    }

    fn n_workers(&self) -> usize {
        1
    }
}

impl<M: Measured + ?Sized> Measured for &M {
    fn timing(&self) -> Timing {
        (*self).timing()
    }

    fn n_workers(&self) -> usize {
        (*self).n_workers()
    }
}
