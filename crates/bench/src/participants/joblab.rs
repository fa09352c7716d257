//! joblab itself, in this process; in a notebook's kernel for the cells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use joblab::{Backend, Parallel, Run, SharedSlice, wait_loop_nogil, wait_loop_withgil};

use super::scripts::{self, Script};
use super::{
    Answer, Participant, die, locked, machine, numbers, same, seconds, seconds_each, seconds_of,
    seconds_taking, skewed, touch,
};
use crate::case::{Work, Workers};
use crate::who;

pub(super) struct Joblab {
    warm: HashMap<(&'static str, usize, bool), Arc<Parallel>>,
    numbers: Option<SharedSlice<f64>>,
    kernel: Option<Script>,
}

impl Joblab {
    pub(super) fn new() -> Self {
        Joblab { warm: HashMap::new(), numbers: None, kernel: None }
    }

    fn pool(&mut self, workers: Workers, n_jobs: usize, batched: bool) -> Result<Arc<Parallel>> {
        let name = if workers == Workers::Processes { "processes" } else { "threads" };
        if let Some(pool) = self.warm.get(&(name, n_jobs, batched)) {
            return Ok(Arc::clone(pool));
        }
        let mut pool = make(workers, n_jobs);
        if !batched {
            // All at once, as multiprocessing.Pool sends them.
            pool = pool.batch_size(1).pre_dispatch(usize::MAX);
        }
        // All workers are up: as many tasks as there are, each long enough to need one.
        let _ = pool.map(wait_loop_nogil, vec![200; 2 * n_jobs])?;
        let pool = Arc::new(pool);
        self.warm.insert((name, n_jobs, batched), Arc::clone(&pool));
        Ok(pool)
    }

    fn kernel(&mut self) -> Result<&mut Script> {
        if self.kernel.is_none() {
            self.kernel = Some(scripts::kernel(who::JOBLAB)?);
        }
        self.kernel.as_mut().ok_or_else(|| anyhow!("no kernel"))
    }
}

fn make(workers: Workers, n_jobs: usize) -> Parallel {
    let backend = match workers {
        Workers::Threads | Workers::LockHeld => Backend::Threading,
        Workers::Processes => Backend::Multiprocessing,
    };
    Parallel::new(n_jobs as i32).backend(backend)
}

/// A run's wall time, and what it would be if the tasks' CPU time were spread evenly over workers.
fn with_ideal<R>(run: &Run<R>) -> Answer {
    let workers = run.n_workers.min(joblab::cpu_count());
    let cpu: Duration = run.tasks.iter().map(|task| task.cpu).sum();
    let ideal = cpu.as_secs_f64() / workers as f64;
    vec![(who::JOBLAB, run.timing.wall.as_secs_f64()), (who::IDEAL, ideal)]
}

impl Participant for Joblab {
    fn run(&mut self, work: &Work) -> Result<Option<Answer>> {
        let value = match *work {
            Work::Loop { n } => seconds_of(|| wait_loop_nogil(n)),
            Work::Tutorial { workers, n_jobs, tasks, n } => {
                let held = workers == Workers::LockHeld;
                let task = if held { wait_loop_withgil } else { wait_loop_nogil };
                let run = self.pool(workers, n_jobs, true)?.map(task, vec![n; tasks])?;
                let mut answer = with_ideal(&run);
                // Tasks that hold a lock have no such ideal.
                answer.truncate(if held { 1 } else { 2 });
                return Ok(Some(answer));
            }
            Work::Call { workers, n_jobs } => {
                let pool = self.pool(workers, n_jobs, true)?;
                seconds_each(|| pool.map(same, 0..2))?
            }
            Work::Empty { workers, n_jobs, tasks, batched } => {
                let pool = self.pool(workers, n_jobs, batched)?;
                seconds(|| pool.map(same, 0..tasks as u64))? / tasks as f64
            }
            Work::Start { workers, n_jobs } => {
                seconds(|| make(workers, n_jobs).map(same, 0..n_jobs as u64))?
            }
            Work::Argument { n_jobs, bytes, shared: false } => {
                let pool = self.pool(Workers::Processes, n_jobs, true)?;
                seconds_taking(bytes, |it| pool.map(|it: Vec<f64>| touch(&it), [it]))?
            }
            Work::Argument { n_jobs, bytes, shared: true } => {
                let pool = self.pool(Workers::Processes, n_jobs, true)?;
                let numbers = match self.numbers.take() {
                    Some(numbers) => numbers,
                    None => SharedSlice::fill(bytes / 8, |all| all.fill(0.5))?,
                };
                self.numbers = Some(numbers.clone());
                let task = |it: SharedSlice<f64>| touch(&it);
                seconds_each(|| pool.map(task, [numbers.clone()]))?
            }
            Work::Result { n_jobs, bytes } => {
                let pool = self.pool(Workers::Processes, n_jobs, true)?;
                seconds_each(|| pool.map(numbers, [bytes]))?
            }
            Work::Skewed { workers, n_jobs, short, long, place, costs } => {
                let pool = self.pool(workers, n_jobs, true)?;
                let inputs = skewed(short, long, place);
                let run = match costs {
                    true => pool.map_longest_first(wait_loop_nogil, inputs, |n| *n as f64),
                    false => pool.map(wait_loop_nogil, inputs),
                };
                return Ok(Some(with_ideal(&run?)));
            }
            Work::Death { n_jobs } => {
                let pool = self.pool(Workers::Processes, n_jobs, false)?;
                let _ = pool.map(same, 0..2 * n_jobs as u64)?;
                let call = || match pool.map(die, [0]) {
                    Err(error) if error.is_worker_death() => Ok(()),
                    _ => Err("the worker's death was no error"),
                };
                seconds(call)?
            }
            Work::Memory { n_jobs } => {
                let before = machine::descendants(std::process::id());
                let pool = make(Workers::Processes, n_jobs);
                let _ = pool.map(wait_loop_nogil, vec![200; 2 * n_jobs])?;
                std::thread::sleep(Duration::from_millis(200));
                let after = machine::descendants(std::process::id());
                let new = after.into_iter().filter(|pid| !before.contains(pid));
                new.map(machine::memory).sum()
            }
            Work::KernelReady
            | Work::SetUpCell
            | Work::FirstRun
            | Work::NewFunction { .. }
            | Work::ShownRun => return self.kernel()?.run(work),
            Work::Close => return Ok(None),
        };
        Ok(Some(vec![(who::JOBLAB, value)]))
    }

    fn close(&mut self) {
        self.warm.clear();
        self.numbers = None;
        self.kernel = None;
    }

    fn versions(&self) -> Vec<(String, String)> {
        vec![locked(who::JOBLAB)]
    }
}
