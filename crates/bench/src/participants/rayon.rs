//! rayon alone: a pool of threads, without records of who did what when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::Result;
use joblab::wait_loop_nogil;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Answer, Participant, locked, same, seconds, seconds_each, seconds_of, skewed};
use crate::case::Work;
use crate::who;

#[derive(Default)]
pub(super) struct Rayon(HashMap<usize, ThreadPool>);

fn make(n_jobs: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(n_jobs).build();
    Ok(pool?)
}

/// One by one, so that a long task holds up no others.
fn map_single<R: Send>(pool: &ThreadPool, task: fn(u64) -> R, inputs: Vec<u64>) -> Vec<R> {
    pool.install(|| inputs.into_par_iter().with_max_len(1).map(task).collect())
}

impl Participant for Rayon {
    fn run(&mut self, work: &Work) -> Result<Option<Answer>> {
        let n_jobs = match *work {
            Work::Tutorial { n_jobs, .. }
            | Work::Call { n_jobs, .. }
            | Work::Empty { n_jobs, .. }
            | Work::Start { n_jobs, .. }
            | Work::Skewed { n_jobs, .. } => n_jobs,
            _ => return Ok(None),
        };
        let pool: &ThreadPool = match self.0.entry(n_jobs) {
            Entry::Occupied(pool) => pool.into_mut(),
            Entry::Vacant(place) => place.insert(make(n_jobs)?),
        };
        let call = |pool: &ThreadPool| pool.install(|| rayon::join(|| same(0), || same(1)));
        let value = match *work {
            Work::Tutorial { tasks, n, .. } => {
                seconds_of(|| map_single(pool, wait_loop_nogil, vec![n; tasks]))
            }
            Work::Call { .. } => seconds_each(|| anyhow::Ok(call(pool)))?,
            Work::Empty { tasks, batched: true, .. } => {
                let all = 0..tasks as u64;
                let run = || pool.install(|| all.into_par_iter().map(same).collect::<Vec<_>>());
                seconds_of(run) / tasks as f64
            }
            Work::Empty { tasks, .. } => {
                let all: Vec<u64> = (0..tasks as u64).collect();
                seconds_of(|| map_single(pool, same, all)) / tasks as f64
            }
            Work::Start { .. } => seconds(|| make(n_jobs).map(|pool| call(&pool)))?,
            Work::Skewed { short, long, place, .. } => {
                seconds_of(|| map_single(pool, wait_loop_nogil, skewed(short, long, place)))
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![(who::RAYON, value)]))
    }

    fn close(&mut self) {
        self.0.clear();
    }

    fn versions(&self) -> Vec<(String, String)> {
        vec![locked(who::RAYON)]
    }
}
