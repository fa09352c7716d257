//! Progress: joblib's lines, and numbers for a callback.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::measure::{Moment, Stopwatch};
use crate::notebook::facts::is_evcxr;

/// How far a call has come: what the callback of
/// [`Parallel::on_progress`](crate::Parallel::on_progress) gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Tasks that have ended.
    pub done: usize,
    /// Those of them whose results were in the file of [`Parallel::resume`](crate::Parallel::resume).
    pub resumed: usize,
    /// Tasks that run now: those on their way, at most one for each worker.
    pub running: usize,
    /// Tasks in all, where the list says how long it is, or is at its end.
    pub total: Option<usize>,
    /// Since the call began.
    pub elapsed: Duration,
    /// How long the rest will take if it takes as long as what is done did, each task alike; none
    /// before the first task has run, or where there is no total.
    pub remaining: Option<Duration>,
}

/// Whom to tell.
pub(crate) type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What a call knows of itself.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) done: usize,
    /// Those of them that an earlier call has run.
    pub(super) resumed: usize,
    pub(super) under_way: usize,
    pub(super) sent_tasks: usize,
    pub(super) sent_batches: usize,
    /// Whether there are no more tasks to send.
    pub(super) all_sent: bool,
    /// The length that the list gave at the start.
    pub(super) length: Option<usize>,
}

/// Tells a call's progress to those who asked for it.
pub(super) struct Reporter {
    verbose: u32,
    on_progress: Option<OnProgress>,
    title: String,
    n_workers: usize,
    /// joblib's `_pre_dispatch_amount`: 0 where all tasks were sent at once.
    pre_dispatch: usize,
    last_line: Option<Moment>,
    /// Where lines cannot be overwritten, and a cell's output is read as a whole.
    is_notebook: bool,
}

impl Reporter {
    /// None where nobody asked.
    pub(super) fn new(
        (verbose, on_progress): (u32, Option<&OnProgress>),
        pre_dispatch: Option<usize>,
        backend: &str,
        n_workers: usize,
    ) -> Option<Self> {
        if verbose == 0 && on_progress.is_none() {
            return None;
        }
        let reporter = Reporter {
            verbose,
            on_progress: on_progress.cloned(),
            title: format!("[Parallel(n_jobs={n_workers})]"),
            n_workers,
            pre_dispatch: pre_dispatch.unwrap_or(2 * n_workers),
            last_line: None,
            is_notebook: is_evcxr(),
        };
        if n_workers > 1 {
            let mut name = backend.to_owned();
            name[..1].make_ascii_uppercase();
            reporter.print(&format!(
                "Using backend {name}Backend with {n_workers} concurrent workers."
            ));
        }
        Some(reporter)
    }

    /// A batch has ended.
    pub(super) fn report(&mut self, counts: &Counts, stopwatch: &Stopwatch) {
        let elapsed = stopwatch.origin().elapsed();
        let is_over = counts.all_sent && counts.under_way == 0;
        if let Some(tell) = &self.on_progress {
            // What the list says of its length may be wrong.
            let said = counts.length.map(|length| length.max(counts.sent_tasks));
            let total = counts.all_sent.then_some(counts.sent_tasks).or(said);
            tell(&Progress {
                done: counts.done,
                resumed: counts.resumed,
                running: counts.under_way.min(self.n_workers),
                total,
                elapsed,
                remaining: total
                    .filter(|_| counts.done > counts.resumed)
                    .map(|total| rest(elapsed, counts, total)),
            });
        }
        let Some(line) = line(counts, self.verbose as usize, self.pre_dispatch, elapsed) else {
            return;
        };
        let is_soon = |last: Moment| last.elapsed() < Duration::from_secs(1);
        if is_over || !self.is_notebook || !self.last_line.is_some_and(is_soon) {
            self.last_line = Some(Moment::now());
            self.print(&line);
        }
    }

    /// joblib/parallel.py, `Parallel._print`.
    fn print(&self, line: &str) {
        let line = format!("{}: {line}\n", self.title);
        // Where nobody reads, a line is lost, and not the call.
        let _ = match self.verbose {
            0 => Ok(()),
            1..50 => std::io::stderr().lock().write_all(line.as_bytes()),
            _ => std::io::stdout().lock().write_all(line.as_bytes()),
        };
    }
}

/// What is printed now, if anything: joblib's line, and behind it how many results were in the file.
fn line(counts: &Counts, verbose: usize, pre_dispatch: usize, elapsed: Duration) -> Option<String> {
    let line = joblibs_line(counts, verbose, pre_dispatch, elapsed)?;
    Some(match counts.resumed {
        0 => line,
        resumed => format!("{line}, {resumed} resumed"),
    })
}

/// What joblib prints now, if anything: joblib/parallel.py, `Parallel.print_progress`.
fn joblibs_line(
    counts: &Counts,
    verbose: usize,
    pre_dispatch: usize,
    elapsed: Duration,
) -> Option<String> {
    let (done, sent) = (counts.done, counts.sent_tasks);
    let width = match counts.length {
        Some(length @ 1..) => length.ilog10() as usize + 1,
        _ => 3,
    };
    let time = short_format_time(elapsed);
    if verbose == 0 {
        return None;
    }
    if counts.all_sent && counts.under_way == 0 {
        return Some(format!("Done {done:width$} out of {done:width$} | elapsed: {time} finished"));
    }
    if !counts.all_sent {
        return is_shown(counts.sent_batches, verbose).then(|| match counts.length {
            Some(length) => format!("Done {done:width$} out of {length:width$} | elapsed: {time}"),
            None => {
                let pad = " ".repeat("out of ".len() + width - "tasks".len());
                format!("Done {done:width$} tasks {pad}| elapsed: {time}")
            }
        });
    }
    let cursor = (sent - done + 1) as isize - pre_dispatch.min(isize::MAX as usize) as isize;
    let frequency = (sent / verbose + 1) as isize;
    if done + 1 == sent || cursor % frequency != 0 {
        return None;
    }
    let remaining = short_format_time(rest(elapsed, counts, sent));
    Some(format!(
        "Done {done:width$} out of {sent:width$} | elapsed: {time} remaining: {remaining}"
    ))
}

/// Tasks whose results were there took no time.
fn rest(elapsed: Duration, counts: &Counts, total: usize) -> Duration {
    let ran = counts.done - counts.resumed;
    elapsed.mul_f64(total.saturating_sub(counts.done) as f64 / ran.max(1) as f64)
}

/// Lines get rarer as batches get many: joblib/parallel.py, `_verbosity_filter`.
fn is_shown(batches: usize, verbose: usize) -> bool {
    if verbose > 10 || batches == 0 {
        return true;
    }
    let scale = 0.5 * ((11 - verbose) as f64).powi(2);
    let step = |batches: usize| (batches as f64 / scale).sqrt() as usize;
    step(batches + 1) != step(batches)
}

/// Seconds up to a minute, minutes above: joblib/logger.py, `short_format_time`.
fn short_format_time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds > 60.0 => format!("{:4.1}min", seconds / 60.0),
        seconds => format!(" {seconds:5.1}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(done: usize, all_sent: bool, length: Option<usize>) -> Counts {
        let (under_way, sent_tasks) = (100 - done, 100);
        Counts { done, under_way, sent_tasks, all_sent, length, ..Counts::default() }
    }

    // The expected lines are those of joblib 1.6.0.
    #[test]
    fn lines_are_joblibs() {
        let print = |counts: &Counts| line(counts, 11, 4, Duration::from_millis(1500)).unwrap();
        assert_eq!(print(&counts(1, false, None)), "Done   1 tasks      | elapsed:    1.5s");
        assert_eq!(print(&counts(7, false, Some(10))), "Done  7 out of 10 | elapsed:    1.5s");
        assert_eq!(
            print(&counts(27, true, Some(100))),
            "Done  27 out of 100 | elapsed:    1.5s remaining:    4.1s"
        );
        assert_eq!(
            print(&counts(100, true, Some(100))),
            "Done 100 out of 100 | elapsed:    1.5s finished"
        );
        assert_eq!(short_format_time(Duration::from_secs(90)), " 1.5min");
    }

    #[test]
    fn lines_say_how_many_were_resumed() {
        let print = |counts: Counts| {
            line(&Counts { resumed: 7, ..counts }, 11, 4, Duration::from_millis(1500)).unwrap()
        };
        // Those that ran, 20, took the time: 2.67 times as many are left.
        assert_eq!(
            print(counts(27, true, Some(100))),
            "Done  27 out of 100 | elapsed:    1.5s remaining:    5.5s, 7 resumed"
        );
        let finished = "Done 100 out of 100 | elapsed:    1.5s finished, 7 resumed";
        assert_eq!(print(counts(100, true, Some(100))), finished);
    }

    #[test]
    fn lines_get_rarer() {
        let shown = |verbose| -> Vec<usize> {
            (0..50).filter(|&batches| is_shown(batches, verbose)).collect()
        };
        // From joblib's own _verbosity_filter.
        assert_eq!(shown(10), [0, 1, 4, 7, 12, 17, 24, 31, 40, 49]);
        assert_eq!(shown(5), [0, 17]);
        assert_eq!(shown(11).len(), 50);
    }
}
