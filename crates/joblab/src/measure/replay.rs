//! What more workers would do: the measured tasks of a run, laid out on any number of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::record::TaskRecord;
use super::run::Run;
use super::summary::Summary;
use super::timing::Timing;
use crate::error::Error;

/// As much of the tasks' time may be waits for the lock: with another number of workers they would wait
/// for another time.
const MOST_LOCK_WAIT: f64 = 0.02;

impl<R> Run<R> {
    /// What the same tasks would take on `n_workers` workers with a CPU for each: computed, not run.
    ///
    /// Each task goes to the worker that is free first, in the order of the list, as in a pool. It takes
    /// there what it took here without the time in which no CPU was free. What a pool itself costs, and
    /// that CPUs get slower when more of them compute, is left out: measured runs take a little longer.
    ///
    /// ```
    /// # use joblab::Parallel;
    /// let measured = Parallel::new(2).map(joblab::wait_loop_nogil, [100; 64])?;
    /// let computed = measured.replay(64)?;
    /// # #[cfg(feature = "figures")]
    /// println!("{}", joblab::timeline(&computed)?.description());
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// # Errors
    /// For no workers, where tasks waited for the lock of [`with_gil`](crate::with_gil), since with other
    /// neighbours they would wait for another time, and where the system does not tell for how long no CPU
    /// was free.
    pub fn replay(&self, n_workers: usize) -> Result<Run<()>, Error> {
        replay(&self.summary(), n_workers, false)
    }

    /// Does the same with the longest task first: the best order where there is nothing but lengths.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn replay_longest_first(&self, n_workers: usize) -> Result<Run<()>, Error> {
        replay(&self.summary(), n_workers, true)
    }
}

fn replay(run: &Summary<'_>, n_workers: usize, longest_first: bool) -> Result<Run<()>, Error> {
    if n_workers == 0 {
        return Err(Error::replay("no tasks run on 0 workers; give at least one"));
    }
    let all: Duration = run.tasks.iter().map(|task| task.wall).sum();
    let lock_wait = run.tasks.iter().map(|task| task.lock_wait).sum::<Duration>();
    if lock_wait > all.mul_f64(MOST_LOCK_WAIT) {
        return Err(Error::replay(format_args!(
            "of {all:.2?} its tasks waited {lock_wait:.2?} for the lock, and on another number of workers \
             they would wait for another time; run them there"
        )));
    }
    let tasks = run.tasks.iter().filter(|task| !task.resumed);
    let tasks = tasks.map(|task| Some((task, task.wall.checked_sub(task.runnable?)?)));
    let Some(mut tasks) = tasks.collect::<Option<Vec<_>>>() else {
        return Err(Error::replay(
            "the system does not tell for how long its tasks waited for a CPU; Linux does",
        ));
    };
    if longest_first {
        tasks.sort_by_key(|(_, length)| Reverse(*length));
    }
    let mut free: BinaryHeap<_> = (0..n_workers.min(tasks.len().max(1)))
        .map(|worker| Reverse((Duration::ZERO, worker)))
        .collect();
    let mut wall = Duration::ZERO;
    let mut records: Vec<TaskRecord> = Vec::with_capacity(tasks.len());
    for (task, length) in tasks {
        let Some(Reverse((start, worker))) = free.pop() else { break };
        let mut record = TaskRecord::new(task.index, format!("worker-{worker}"));
        (record.start, record.wall) = (start, length);
        (record.cpu, record.runnable) = (task.cpu, Some(Duration::ZERO));
        wall = wall.max(start + length);
        free.push(Reverse((start + length, worker)));
        records.push(record);
    }
    records.sort_unstable_by_key(|record| record.index);
    let cpu = records.iter().map(|record| record.cpu).sum();
    let mut timing = Timing::new(wall, cpu, cpu);
    timing.runnable = Some(Duration::ZERO);
    timing.blocked = records.iter().map(TaskRecord::blocked).sum();
    let mut computed = Run::new(vec![(); records.len()], timing, records, n_workers);
    computed.computed_from = Some(run.n_workers);
    Ok(computed)
}
