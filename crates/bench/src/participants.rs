//! Who takes part: each runs one repeat of a case when asked, so that the driver can let them take
//! turns.

mod joblab;
mod machine;
#[cfg(feature = "measure")]
mod procspawn;
mod rayon;
mod scripts;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::case::Work;
use crate::growth::Point;
use crate::who;

pub(crate) use machine::{descendants, memory};

/// The participants of a run, by name; each is started when it is asked for the first time.
pub(crate) struct Participants {
    started: BTreeMap<&'static str, Box<dyn Participant>>,
    tools: machine::Tools,
}

/// One repeat's numbers, each with the name that it stands under in the results.
pub(crate) type Answer = Vec<(&'static str, f64)>;

pub(crate) trait Participant {
    /// Runs a case once. None where it has no such thing.
    fn run(&mut self, work: &Work) -> Result<Option<Answer>>;

    /// Ends the pools that a case has made.
    fn close(&mut self);

    /// The versions of what it consists of.
    fn versions(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl Participants {
    pub(crate) fn new() -> Result<Self> {
        Ok(Participants { started: BTreeMap::new(), tools: machine::Tools::make()? })
    }

    pub(crate) fn run(&mut self, name: &'static str, work: &Work) -> Result<Option<Answer>> {
        if !self.started.contains_key(name) {
            let participant = self.start(name)?;
            self.started.insert(name, participant);
        }
        match self.started.get_mut(name) {
            Some(participant) => participant.run(work),
            None => Ok(None),
        }
    }

    fn start(&self, name: &'static str) -> Result<Box<dyn Participant>> {
        Ok(match name {
            who::JOBLAB => Box::new(joblab::Joblab::new()),
            who::RAYON => Box::new(rayon::Rayon::default()),
            #[cfg(feature = "measure")]
            who::PROCSPAWN => Box::new(procspawn::Procspawn::default()),
            #[cfg(not(feature = "measure"))]
            who::PROCSPAWN => {
                return Err(anyhow!("build with --features measure"));
            }
            who::EVCXR | who::IPYKERNEL => Box::new(scripts::kernel(name)?),
            name if who::MACHINE.contains(&name) => Box::new(self.tools.start(name)?),
            name => Box::new(scripts::peer(name, &self.tools.library)?),
        })
    }

    /// Ends the pools of a case.
    pub(crate) fn close(&mut self) {
        self.started.values_mut().for_each(|participant| participant.close());
    }

    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        self.started.values().flat_map(|participant| participant.versions()).collect()
    }
}

/// Runs cells in a new kernel of that participant: what they take at each of these numbers.
pub(crate) fn cells(name: &'static str, sizes: &[u64]) -> Result<Vec<Point>> {
    scripts::kernel(name)?.cells(sizes)
}

fn seconds<T, E: Display>(work: impl FnOnce() -> std::result::Result<T, E>) -> Result<f64> {
    let begun = Instant::now();
    let done = black_box(work());
    let took = begun.elapsed();
    done.map(|_| took.as_secs_f64()).map_err(|error| anyhow!("{error}"))
}

/// The same for work that cannot fail.
fn seconds_of<T>(work: impl FnOnce() -> T) -> f64 {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed().as_secs_f64()
}

/// A repeat of tiny calls goes on for so long, here and in Python.
const SHORT: Duration = Duration::from_millis(50);

/// Of a call that may be too short for one reading of the clock.
fn seconds_each<T, E: Display>(mut work: impl FnMut() -> std::result::Result<T, E>) -> Result<f64> {
    let (begun, mut calls) = (Instant::now(), 0_u32);
    while calls == 0 || begun.elapsed() < SHORT {
        // The clock is read once for so many calls.
        let some = if calls < 64 { 1 } else { 64 };
        for _ in 0..some {
            drop(black_box(work().map_err(|error| anyhow!("{error}"))?));
        }
        calls += some;
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(calls))
}

/// The same for a call that takes numbers. They are made just before each call, outside of the time, as
/// those that are the same each time are in the processor's cache too.
fn seconds_taking<T, E: Display>(
    bytes: usize,
    mut work: impl FnMut(Vec<f64>) -> std::result::Result<T, E>,
) -> Result<f64> {
    let (mut took, mut calls) = (0.0, 0_u32);
    while took < SHORT.as_secs_f64() {
        let it = numbers(bytes);
        took += seconds(|| work(it))?;
        calls += 1;
    }
    Ok(took / f64::from(calls))
}

/// So many bytes of numbers.
fn numbers(bytes: usize) -> Vec<f64> {
    vec![0.5; bytes / size_of::<f64>()]
}

/// The arguments of [`Work::Skewed`].
fn skewed(short: u64, long: u64, place: usize) -> Vec<u64> {
    let mut inputs = vec![short; 99];
    inputs.insert(place, long);
    inputs
}

/// A version in Cargo.lock.
fn locked(package: &str) -> (String, String) {
    let lock = include_str!("../../../Cargo.lock");
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split(&entry).nth(1).and_then(|rest| rest.split('"').next());
    (package.to_owned(), version.unwrap_or("unknown").to_owned())
}

// What tasks do. Python's do the same.

/// A task all the same: rayon's would otherwise be compiled away.
pub(crate) fn same(n: u64) -> u64 {
    black_box(n)
}

fn die(_: u64) -> u64 {
    std::process::abort()
}

/// Looks at the first and the last number.
pub(crate) fn touch(numbers: &[f64]) -> (usize, f64, f64) {
    (numbers.len(), numbers.first().copied().unwrap_or(0.0), numbers.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_lock_file() {
        let (name, version) = locked("rayon");
        assert_eq!(name, "rayon");
        assert!(version.starts_with("1."), "{version}");
    }
}
