//! procspawn's pool of processes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anyhow::Result;
use joblab::wait_loop_nogil;
use procspawn::{Pool, SpawnError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Answer, Participant, die, locked, machine, numbers, same, seconds, seconds_each,
    seconds_taking, skewed, touch,
};
use crate::case::Work;
use crate::who;

#[derive(Default)]
pub(super) struct Procspawn(HashMap<usize, Pool>);

/// A call that waits takes four file descriptors: more calls at once would run out of them.
const IN_FLIGHT: usize = 64;

fn map<A, R>(
    pool: &Pool,
    task: fn(A) -> R,
    inputs: impl IntoIterator<Item = A>,
) -> std::result::Result<Vec<R>, SpawnError>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    let (mut waiting, mut results) = (VecDeque::new(), Vec::new());
    for input in inputs {
        if waiting.len() == IN_FLIGHT {
            results.extend(waiting.pop_front().map(procspawn::JoinHandle::join).transpose()?);
        }
        waiting.push_back(pool.spawn(input, task));
    }
    for handle in waiting {
        results.push(handle.join()?);
    }
    Ok(results)
}

fn make(n_jobs: usize) -> Result<Pool> {
    let pool = Pool::new(n_jobs)?;
    map(&pool, wait_loop_nogil, vec![200; 2 * n_jobs])?;
    Ok(pool)
}

impl Procspawn {
    fn pool(&mut self, n_jobs: usize) -> Result<&Pool> {
        Ok(match self.0.entry(n_jobs) {
            Entry::Occupied(pool) => pool.into_mut(),
            Entry::Vacant(place) => place.insert(make(n_jobs)?),
        })
    }
}

impl Participant for Procspawn {
    fn run(&mut self, work: &Work) -> Result<Option<Answer>> {
        let value = match *work {
            Work::Tutorial { n_jobs, tasks, n, .. } => {
                let pool = self.pool(n_jobs)?;
                seconds(|| map(pool, wait_loop_nogil, vec![n; tasks]))?
            }
            Work::Call { n_jobs, .. } => {
                let pool = self.pool(n_jobs)?;
                seconds_each(|| map(pool, same, 0..2))?
            }
            // It has no batches.
            Work::Empty { n_jobs, tasks, .. } => {
                let (pool, tasks) = (self.pool(n_jobs)?, tasks.min(10_000));
                seconds(|| map(pool, same, 0..tasks as u64))? / tasks as f64
            }
            Work::Start { n_jobs, .. } => {
                let start = || {
                    let pool = Pool::new(n_jobs)?;
                    map(&pool, same, 0..n_jobs as u64)
                };
                seconds(start)?
            }
            Work::Argument { n_jobs, bytes, shared: false } => {
                let pool = self.pool(n_jobs)?;
                seconds_taking(bytes, |it| map(pool, |it: Vec<f64>| touch(&it), [it]))?
            }
            Work::Result { n_jobs, bytes } => {
                let pool = self.pool(n_jobs)?;
                seconds_each(|| map(pool, numbers, [bytes]))?
            }
            Work::Skewed { n_jobs, short, long, place, .. } => {
                let pool = self.pool(n_jobs)?;
                seconds(|| map(pool, wait_loop_nogil, skewed(short, long, place)))?
            }
            Work::Death { n_jobs } => {
                let pool = make(n_jobs)?;
                let call = || match map(&pool, die, [0]) {
                    Err(_) => Ok(()),
                    Ok(_) => Err("the worker's death was no error"),
                };
                seconds(call)?
            }
            Work::Memory { n_jobs } => {
                let before = machine::descendants(std::process::id());
                let _pool = make(n_jobs)?;
                std::thread::sleep(Duration::from_millis(200));
                let after = machine::descendants(std::process::id());
                let new = after.into_iter().filter(|pid| !before.contains(pid));
                new.map(machine::memory).sum()
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![(who::PROCSPAWN, value)]))
    }

    fn close(&mut self) {
        self.0.clear();
    }

    fn versions(&self) -> Vec<(String, String)> {
        vec![locked(who::PROCSPAWN)]
    }
}
