//! Batches: tasks of one function that travel to a worker together, how they are run and measured,
//! and how they are written down for a worker in another process.
//!
//! A batch of arguments is, for each, a length (u64, little-endian) and its bytes. A batch of
//! outcomes begins with their number n; then come n outcomes, each a tag, a length and bytes; then n
//! times, each start, wall and CPU in nanoseconds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec;
use crate::error::panic_message;
use crate::task::Data;
use crate::timing::{Laps, TaskTimes};

/// What became of a task.
pub(crate) type Outcome<R> = Result<R, Failure>;

/// Why a task has no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It panicked, with this message.
    Panicked(String),
    /// Its argument or result could not be carried, for this reason.
    NotCarried(String),
}

/// The outcomes of a batch's tasks, up to the first failure, and their times.
pub(crate) struct Outcomes<R> {
    pub(crate) outcomes: Vec<Outcome<R>>,
    pub(crate) times: Vec<TaskTimes>,
}

/// Runs tasks one after the other in this thread, until one fails or is not wanted any more.
pub(crate) fn run<A, R>(
    f: fn(A) -> R,
    arguments: Vec<A>,
    is_wanted: impl Fn() -> bool,
) -> Outcomes<R> {
    let mut outcomes = Vec::with_capacity(arguments.len());
    let mut laps = Laps::start_in_thread(arguments.len());
    for argument in arguments {
        if !is_wanted() {
            break;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| f(argument)));
        laps.lap();
        let failed = outcome.is_err();
        outcomes.push(outcome.map_err(|payload| Failure::Panicked(panic_message(payload))));
        if failed {
            break;
        }
    }
    let times = laps.finish();
    Outcomes { outcomes, times }
}

/// Appends an argument to a batch. The error says why it cannot be carried.
pub(crate) fn write_argument<A: Data>(argument: &A, batch: &mut Vec<u8>) -> Result<(), String> {
    let at = batch.len();
    batch.extend([0; 8]);
    carried(|| codec::append(argument, batch))?;
    write_length(batch, at);
    Ok(())
}

/// Runs a batch of written arguments, as [`run`] does, in a worker process, and appends the
/// outcomes to the reply.
pub(crate) fn run_written<A: Data, R: Data>(f: fn(A) -> R, batch: &[u8], reply: &mut Vec<u8>) {
    let number_at = reply.len();
    reply.extend([0; 8]);
    let mut number = 0_u64;
    let mut laps = Laps::start_in_process(batch.len() / 9);
    let mut batch = Fields(batch);
    while let Some(argument) = batch.sized() {
        number += 1;
        let at = reply.len();
        reply.extend([0; 16]);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let argument = codec::read(argument)
                .map_err(|reason| format!("the worker could not read its argument: {reason}"))?;
            codec::append(&f(argument), reply)
                .map_err(|reason| format!("the worker could not write it: {reason}"))
        }));
        laps.lap();
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some((NOT_CARRIED, reason)),
            Err(payload) => Some((PANICKED, panic_message(payload))),
        };
        if let Some((tag, reason)) = &failure {
            reply.truncate(at);
            reply.extend(tag.to_le_bytes());
            reply.extend([0; 8]);
            reply.extend(reason.as_bytes());
        }
        write_length(reply, at + 8);
        if failure.is_some() {
            break;
        }
    }
    reply[number_at..number_at + 8].copy_from_slice(&number.to_le_bytes());
    for times in laps.finish() {
        reply.extend(times.to_bytes());
    }
}

const DONE: u64 = 0;
const PANICKED: u64 = 1;
const NOT_CARRIED: u64 = 2;

/// Reads what [`run_written`] wrote; `None` where it is not whole. A result that does not decode
/// is the failure of its task.
pub(crate) fn read_outcomes<R: Data>(reply: &[u8]) -> Option<Outcomes<R>> {
    let mut reply = Fields(reply);
    let number = reply.u64()?;
    let mut outcomes = Vec::new();
    for _ in 0..number {
        let tag = reply.u64()?;
        let bytes = reply.sized()?;
        let words = || String::from_utf8_lossy(bytes).into_owned();
        outcomes.push(match tag {
            DONE => carried(|| codec::read(bytes)).map_err(Failure::NotCarried),
            PANICKED => Err(Failure::Panicked(words())),
            NOT_CARRIED => Err(Failure::NotCarried(words())),
            _ => return None,
        });
    }
    let times = (0..number).map(|_| TaskTimes::from_bytes(reply.chunk()?));
    let times = times.collect::<Option<_>>()?;
    Some(Outcomes { outcomes, times })
}

/// Reads or writes a value. The code that does is the user's, who wrote or derived it for the type:
/// if it panics, the value cannot be carried.
fn carried<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(format!("it panicked: {}", panic_message(payload))))
}

/// Fills in the length of what follows the eight bytes at `at`.
fn write_length(bytes: &mut [u8], at: usize) {
    let length = (bytes.len() - at - 8) as u64;
    bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
}

/// Takes fields from the front of a message; `None` where it is too short.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// As many bytes as the length in front of them says.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(n: u64) -> u64 {
        assert_ne!(n, 13, "unlucky");
        n / 2
    }

    fn written(arguments: &[u64]) -> Vec<u8> {
        let mut batch = Vec::new();
        for argument in arguments {
            write_argument(argument, &mut batch).unwrap();
        }
        let mut reply = b"head".to_vec();
        run_written(half, &batch, &mut reply);
        reply.split_off(4)
    }

    #[test]
    fn a_written_batch_has_the_outcomes_of_one_that_is_not() {
        for arguments in [vec![], vec![8], vec![2, 4, 6], vec![2, 13, 6]] {
            let here = run(half, arguments.clone(), || true);
            let there = read_outcomes::<u64>(&written(&arguments)).unwrap();
            assert_eq!(here.outcomes, there.outcomes);
            assert_eq!(there.times.len(), there.outcomes.len());
            assert_eq!(here.times.len(), here.outcomes.len());
        }
        let failed = run(half, vec![2, 13, 6], || true).outcomes;
        assert_eq!(failed.len(), 2, "it ends with the first failure");
    }

    #[test]
    fn a_batch_that_is_cut_or_of_another_type_is_refused() {
        let reply = written(&[2, 4, 6]);
        for length in 0..reply.len() {
            assert!(
                read_outcomes::<u64>(&reply[..length]).is_none(),
                "{length} bytes"
            );
        }
        let other = read_outcomes::<String>(&reply).unwrap();
        assert!(matches!(other.outcomes[0], Err(Failure::NotCarried(_))));
    }

    #[test]
    fn what_is_not_wanted_is_not_run() {
        assert!(run(half, vec![13, 13], || false).outcomes.is_empty());
    }
}
