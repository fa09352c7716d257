//! One point of a curve, measured in a process that does nothing else.

use std::fmt::Display;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use joblab::{Backend, Parallel, SharedSlice, wait_loop_nogil};

use super::{Point, curves};
use crate::case::Workers;
use crate::machine;
use crate::participants::{descendants, memory, same, touch};

/// What a line shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Empty tasks; not batched, each travels alone.
    Tasks { workers: Workers, batched: bool },
    /// A pool made, used and closed.
    Start(Workers),
    /// A call of a warm pool.
    Call(Workers),
    /// An argument that is numbers.
    Copied,
    /// A result that is.
    Returned,
    /// The same in shared memory.
    Shared,
}

/// Repeats go on for so long, or, where there are many, for a quarter of it: for some time a thread stays
/// where the system has put it, and calls are quick or slow by that.
pub(super) const ENOUGH: Duration = Duration::from_secs(2);
pub(super) const MANY: usize = 1000;
/// The workers of a pool that does not grow.
const TWO: usize = 2;

/// Measures a point, by the names of its curve and its line.
pub(crate) fn measure(arguments: &[String]) -> Result<Point> {
    let [curve, line, size] = arguments else {
        return Err(anyhow!("a point is a curve, a line and a size"));
    };
    let kind = curves::all().iter().find(|it| it.name == curve).and_then(|it| it.kind(line));
    let kind = kind.ok_or_else(|| anyhow!("there is no line {line} of a curve {curve}"))?;
    let size: u64 = size.parse()?;
    let (seconds, bytes) = match kind {
        Kind::Tasks { workers, batched } => {
            let pool = warm(workers, TWO, batched)?;
            calls(|()| pool.map(same, 0..size), || ())?
        }
        Kind::Copied => {
            let pool = warm(Workers::Processes, TWO, true)?;
            let numbers = || vec![0.5_f64; size as usize / 8];
            calls(|it| pool.map(|it: Vec<f64>| touch(&it), [it]), numbers)?
        }
        Kind::Returned => {
            let pool = warm(Workers::Processes, TWO, true)?;
            calls(|()| pool.map(|n: u64| vec![0.5_f64; n as usize], [size / 8]), || ())?
        }
        Kind::Shared => {
            let pool = warm(Workers::Processes, TWO, true)?;
            let peak = Peak::begin()?;
            let numbers = SharedSlice::fill(size as usize / 8, |all| all.fill(0.5))?;
            let task = |it: SharedSlice<f64>| touch(&it);
            drop(pool.map(task, [numbers.clone()])?);
            let bytes = peak.bytes();
            (calls(|()| pool.map(task, [numbers.clone()]), || ())?.0, bytes)
        }
        Kind::Start(workers) => {
            let peak = Peak::begin()?;
            let pool = warm(workers, size as usize, true)?;
            let own = peak.bytes();
            let bytes = own + descendants(std::process::id()).into_iter().map(memory).sum::<f64>();
            drop(pool);
            let start = |()| make(workers, size as usize, true).map(same, 0..size);
            (calls(start, || ())?.0, bytes)
        }
        Kind::Call(workers) => {
            let pool = warm(workers, size as usize, true)?;
            let (seconds, _) = calls(|()| pool.map(same, 0..size), || ())?;
            return Ok(Point { size, seconds, bytes: None });
        }
    };
    Ok(Point { size, seconds, bytes: Some(bytes) })
}

fn make(workers: Workers, n_jobs: usize, batched: bool) -> Parallel {
    let backend = match workers {
        Workers::Threads | Workers::LockHeld => Backend::Threading,
        Workers::Processes => Backend::Multiprocessing,
    };
    let pool = Parallel::new(n_jobs as i32).backend(backend);
    if batched { pool } else { pool.batch_size(1).pre_dispatch(usize::MAX) }
}

/// A pool of which all workers are up: each task is long enough to need one.
fn warm(workers: Workers, n_jobs: usize, batched: bool) -> Result<Parallel> {
    let pool = make(workers, n_jobs, batched);
    drop(pool.map(wait_loop_nogil, vec![200; 2 * n_jobs])?);
    Ok(pool)
}

/// The memory of the first call, and the least time of those behind it, since whatever else the machine does
/// can only add to it; of the first where it is long. What a call takes is made outside of its time, and what
/// it gives is dropped outside.
fn calls<A, T, E: Display>(
    mut call: impl FnMut(A) -> std::result::Result<T, E>,
    mut make: impl FnMut() -> A,
) -> Result<(f64, f64)> {
    let mut timed = |argument| {
        let begun = Instant::now();
        let done = call(argument);
        let took = begun.elapsed();
        done.map(|done| (took, done)).map_err(|error| anyhow!("{error}"))
    };
    let argument = make();
    let peak = Peak::begin()?;
    let (first, done) = timed(argument)?;
    let bytes = peak.bytes();
    drop(done);
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() + first < if times.len() < MANY { ENOUGH } else { ENOUGH / 4 } {
        times.push(timed(make())?.0);
    }
    let seconds = times.into_iter().min().unwrap_or(first).as_secs_f64();
    Ok((seconds, bytes))
}

/// What this process and the workers that it has take at their peak, beyond what they had before.
struct Peak(Vec<(u32, f64)>);

impl Peak {
    fn begin() -> Result<Self> {
        let own = std::process::id();
        let mut before = Vec::new();
        for pid in std::iter::once(own).chain(descendants(own)) {
            // Sets the peak back to what there is now (proc(5)).
            fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
            before.push((pid, field(pid, "VmRSS:")));
        }
        Ok(Peak(before))
    }

    fn bytes(&self) -> f64 {
        let grown = |&(pid, before): &(u32, f64)| (field(pid, "VmHWM:") - before).max(0.0);
        self.0.iter().map(grown).sum()
    }
}

fn field(pid: u32, name: &str) -> f64 {
    machine::bytes(&format!("/proc/{pid}/status"), name).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_has_what_was_given_back() {
        let peak = Peak::begin().unwrap();
        let megabytes = 64_usize;
        drop(std::hint::black_box(vec![7_u8; megabytes << 20]));
        assert!(peak.bytes() > 0.9 * (megabytes << 20) as f64, "{}", peak.bytes());
    }

    #[test]
    fn a_point_has_its_size_and_what_is_no_point_is_refused() {
        let point = |it: [&str; 3]| measure(&it.map(str::to_owned));
        let some = point(["tasks", "threads", "1000"]).unwrap();
        assert_eq!(some.size, 1000);
        assert!(some.seconds > 0.0);
        assert!(point(["tasks", "no such", "1000"]).is_err());
        assert!(point(["tasks", "threads", "many"]).is_err());
    }
}
