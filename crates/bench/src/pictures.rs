//! The pictures of the README: timelines of the same list of tasks on threads, with a lock, in processes.

use std::path::Path;

use anyhow::Result;
use joblab::{
    Backend, Delayed, Parallel, Run, delayed, timeline, wait_loop_nogil, wait_loop_withgil,
};

/// The files, in the order of the runs.
pub(crate) const NAMES: [&str; 3] =
    ["timeline-threads.svg", "timeline-lock.svg", "timeline-processes.svg"];
const TASKS: usize = 8;
const WORKERS: i32 = 2;
/// Whatever else the machine does stands in a timeline too, so the quickest of these is drawn.
const RUNS: usize = 3;

/// Runs the tasks and draws what became of their time.
pub(crate) fn save(folder: &Path) -> Result<()> {
    let free = vec![delayed(wait_loop_nogil, 900); TASKS];
    let held = vec![delayed(wait_loop_withgil, 900); TASKS];
    let threads = Parallel::new(WORKERS).backend(Backend::Threading);
    let processes = Parallel::new(WORKERS).backend(Backend::Multiprocessing);
    let runs =
        [quickest(&threads, &free)?, quickest(&threads, &held)?, quickest(&processes, &held)?];
    for (name, run) in NAMES.iter().zip(runs) {
        let figure = timeline(&run)?;
        figure.save(folder.join(name))?;
        eprintln!("{name}: {}", figure.description());
    }
    Ok(())
}

fn quickest<A: joblab::Data + Clone, R: joblab::Data>(
    parallel: &Parallel,
    tasks: &[Delayed<A, R>],
) -> Result<Run<R>> {
    let runs = (0..RUNS).map(|_| parallel.run(tasks)).collect::<Result<Vec<_>, _>>()?;
    let quickest = runs.into_iter().min_by_key(|run| run.timing.wall);
    Ok(quickest.expect("there is at least one run"))
}
