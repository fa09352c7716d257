//! A run's numbers, and a timing's, as tables of names and numbers.

use super::records::TaskRecords;
use super::timing::Timing;
use super::units::{bytes, number, time};

pub(crate) type Row = (&'static str, String);

/// A run without its results. One type for all runs, so that a notebook's cells need not compile
/// what works on it.
pub(crate) struct Summary<'a> {
    pub(crate) timing: Timing,
    pub(crate) tasks: &'a TaskRecords,
    pub(crate) n_workers: usize,
    /// Where it is no measured one: the number of workers of the run that it is computed from.
    pub(crate) computed_from: Option<usize>,
}

impl Summary<'_> {
    pub(crate) fn speedup(&self) -> f64 {
        self.timing.worker_cpu.as_secs_f64() / self.timing.wall.as_secs_f64().max(1e-9)
    }

    /// Whether the tasks did little but wait, and not for the lock: one worker alone would wait too, and
    /// CPU time says nothing about the speedup.
    pub(crate) fn waits(&self) -> bool {
        let blocked = self.timing.blocked.unwrap_or_default().saturating_sub(self.timing.lock_wait);
        blocked > 9 * self.timing.worker_cpu
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let efficiency = self.speedup() / self.n_workers as f64;
        let mut rows = self.timing.rows();
        rows.insert(0, ("tasks", self.tasks.count().to_string()));
        rows.insert(1, ("workers", self.n_workers.to_string()));
        if !self.waits() {
            rows.push(("estimated speedup", number(self.speedup())));
            let percent = format!("{:.0} %", 100.0 * efficiency);
            rows.push(("estimated efficiency", percent));
        }
        if self.tasks.resumed() > 0 {
            let resumed = format!("{} of {}", self.tasks.resumed(), self.tasks.count());
            rows.insert(1, ("of them resumed", resumed));
        }
        if let Some(workers) = self.computed_from {
            rows.insert(2, ("computed from", format!("{workers} workers")));
        }
        // Small ones cost little, whatever is done about them.
        let each = self.tasks.carried() as f64 / self.tasks.count().max(1) as f64;
        if each >= 10e3 {
            rows.push(("carried by each task", bytes(each)));
        }
        rows
    }

    /// The rows for terminals: a line for each.
    pub(crate) fn text(&self) -> String {
        let rows = self.rows().into_iter();
        let lines = rows.map(|(name, number)| format!("{name:<20} {number:>10}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Timing {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let seconds = [self.wall, self.cpu, self.worker_cpu].map(|time| time.as_secs_f64());
        let names = ["wall time", "CPU time here", "CPU time in workers"];
        let mut rows: Vec<Row> = names.into_iter().zip(seconds.map(time)).collect();
        let busy = format!("{} CPUs", number(self.utilisation()));
        rows.push(("utilisation", busy));
        if let Some((runnable, blocked)) = self.runnable.zip(self.blocked) {
            rows.push(("no CPU was free", time(runnable.as_secs_f64())));
            rows.push(("blocked", time(blocked.as_secs_f64())));
        }
        if !self.lock_wait.is_zero() {
            rows.push(("waited for the lock", time(self.lock_wait.as_secs_f64())));
        }
        rows
    }
}
