//! Batches: tasks of one function that travel to a worker together, how they are run and measured,
//! and how they are written down for a worker in another process.
//!
//! A written batch is the [rules](Rules) and then, for each argument, a length (u64, little-endian)
//! and its bytes; a length of 0 says that the bytes follow in [parts](crate::codec::parts), since no value is
//! written as no bytes. A batch of outcomes begins with their number n; then come n outcomes, each a tag, a
//! length and bytes; then n times start, wall and CPU in nanoseconds, and
//! the bytes carried.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec;
use crate::codec::parts::{PART, PartReader, Sink, WriteParts};
use crate::error::panic_message;
use crate::nesting::Nesting;
use crate::task::Data;
use crate::timing::{Laps, TaskTimes};
use crate::travel::{self, Kept};

/// What became of a task.
pub(crate) type Outcome<R> = Result<R, Failure>;

/// Why a task has no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It panicked, with this message.
    Panicked(String),
    /// Its worker has no state for it, for this reason.
    NoState(String),
    /// Its argument or result could not be carried, for this reason.
    NotCarried(String),
}

/// The outcomes of a batch's tasks, and their times.
pub(crate) struct Outcomes<R> {
    pub(crate) outcomes: Vec<Outcome<R>>,
    pub(crate) times: Vec<TaskTimes>,
    /// How many bytes of argument and result were carried for each; none where they were not.
    pub(crate) carried: Vec<u64>,
}

/// How a call's batches are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether the tasks behind one that has failed are run.
    pub(crate) keep_going: bool,
    /// Where the tasks are.
    pub(crate) nesting: Nesting,
}

impl Rules {
    const LENGTH: usize = 9;

    pub(crate) fn write(&self, batch: &mut Vec<u8>) {
        batch.push(self.keep_going.into());
        batch.extend(self.nesting.to_bytes());
    }

    fn read(batch: &mut Fields<'_>) -> Option<Rules> {
        let bytes: &[u8; Rules::LENGTH] = batch.chunk()?;
        Some(Rules {
            keep_going: bytes[0] != 0,
            nesting: Nesting::from_bytes(*bytes.last_chunk()?),
        })
    }
}

/// Runs tasks one after the other in this thread, until one fails or is not wanted any more.
pub(crate) fn run<A, R>(
    mut f: impl FnMut(A) -> R,
    has_failed: impl Fn(&R) -> bool,
    arguments: Vec<A>,
    rules: &Rules,
    is_wanted: impl Fn() -> bool,
) -> Outcomes<R> {
    let _entered = rules.nesting.enter();
    let mut outcomes = Vec::with_capacity(arguments.len());
    let mut laps = Laps::start_in_thread(arguments.len());
    for argument in arguments {
        if !is_wanted() {
            break;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| f(argument)));
        laps.lap();
        let failed = outcome.as_ref().map_or(true, &has_failed);
        outcomes.push(outcome.map_err(|payload| Failure::Panicked(panic_message(payload))));
        if failed && !rules.keep_going {
            break;
        }
    }
    Outcomes { outcomes, times: laps.finish(), carried: Vec::new() }
}

/// The outcomes of tasks that cannot run, since their worker has no state.
pub(crate) fn refuse<R>(reason: &str, tasks: usize) -> Outcomes<R> {
    let mut laps = Laps::start_in_thread(tasks);
    let outcomes = (0..tasks).map(|_| {
        laps.lap();
        Err(Failure::NoState(reason.to_owned()))
    });
    Outcomes { outcomes: outcomes.collect(), times: laps.finish(), carried: Vec::new() }
}

/// Appends an argument to a batch. The error says why it cannot be carried.
pub(crate) fn write_argument<A: Data>(argument: &A, batch: &mut Vec<u8>) -> Result<(), String> {
    let at = batch.len();
    batch.extend([0; 8]);
    codec::append(argument, &mut Sink::growing(batch))?;
    write_length(batch, at);
    Ok(())
}

/// Does the same for the one argument of a batch. If it is large it is left to be written in parts.
pub(crate) fn write_only_argument<A: Data>(
    argument: A,
    batch: &mut Vec<u8>,
) -> Result<Option<WriteParts>, String> {
    let at = batch.len();
    batch.extend([0; 8]);
    let mut sink = Sink::of_one_part(batch);
    let written = codec::append(&argument, &mut sink);
    if sink.is_full {
        batch.truncate(at + 8);
        return Ok(Some(Box::new(move |send| {
            let (mut part, mut kept) = (Vec::with_capacity(PART), Vec::new());
            let mut sink = Sink::sending(&mut part, send);
            travel::collecting(&mut kept, || codec::append(&argument, &mut sink))?;
            sink.flush().map_err(|error| error.to_string())?;
            Ok(kept)
        })));
    }
    written?;
    write_length(batch, at);
    Ok(None)
}

/// A written batch as a worker process gets it.
pub(crate) struct Incoming<'a> {
    pub(crate) batch: &'a [u8],
    /// Gives the parts that follow; none after the last.
    pub(crate) next_part: &'a mut dyn FnMut() -> Option<Vec<u8>>,
}

/// Runs a written batch, as [`run`] does, in a worker process, and appends the outcomes to the
/// reply, and the shared memory in them to `kept`.
pub(crate) fn run_written<A: Data, R: Data>(
    mut f: impl FnMut(A) -> R,
    has_failed: impl Fn(&R) -> bool,
    Incoming { batch, next_part }: Incoming<'_>,
    reply: &mut Vec<u8>,
    kept: &mut Kept,
) {
    let answer = |argument: &[u8], reply: &mut Vec<u8>| {
        let mut size = argument.len() as u64;
        let argument = match argument {
            [] => codec::read_from(PartReader::new(&mut || {
                next_part().inspect(|part| size += part.len() as u64)
            })),
            bytes => codec::read(bytes),
        };
        let argument = argument.map_err(|reason| {
            Failure::NotCarried(format!("the worker could not read its argument: {reason}"))
        })?;
        let result = f(argument);
        codec::append(&result, &mut Sink::growing(reply)).map_err(|reason| {
            Failure::NotCarried(format!("the worker could not write it: {reason}"))
        })?;
        Ok((has_failed(&result), size))
    };
    travel::collecting(kept, || answer_written(batch, reply, answer));
}

/// What [`refuse`] does, in a worker process.
pub(crate) fn refuse_written(reason: &str, batch: Incoming<'_>, reply: &mut Vec<u8>) {
    answer_written(batch.batch, reply, |_, _| Err(Failure::NoState(reason.to_owned())));
}

/// Answers each argument of a written batch: `run` appends the result to the reply, and says whether
/// the task has failed all the same, and how large its argument was.
fn answer_written(
    batch: &[u8],
    reply: &mut Vec<u8>,
    mut run: impl FnMut(&[u8], &mut Vec<u8>) -> Outcome<(bool, u64)>,
) {
    let number_at = reply.len();
    reply.extend([0; 8]);
    let mut number = 0_u64;
    // The least that an argument takes; a large one may be many bytes.
    let expected = (batch.len() / 9).min(1 << 16);
    let mut laps = Laps::start_in_process(expected);
    let mut carried = Vec::with_capacity(expected);
    let mut batch = Fields(batch);
    let rules = Rules::read(&mut batch);
    let _entered = rules.map(|rules| rules.nesting.enter());
    while let Some(argument) = batch.sized() {
        number += 1;
        let at = reply.len();
        reply.extend([0; 16]);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(argument, reply)))
            .unwrap_or_else(|payload| Err(Failure::Panicked(panic_message(payload))));
        laps.lap();
        let has_failed = match outcome {
            Ok((has_failed, argument)) => {
                carried.push(argument + (reply.len() - at - 16) as u64);
                has_failed
            }
            Err(failure) => {
                let (tag, reason) = match &failure {
                    Failure::Panicked(reason) => (PANICKED, reason),
                    Failure::NoState(reason) => (NO_STATE, reason),
                    Failure::NotCarried(reason) => (NOT_CARRIED, reason),
                };
                carried.push(0);
                reply.truncate(at);
                reply.extend(tag.to_le_bytes());
                reply.extend([0; 8]);
                reply.extend(reason.as_bytes());
                true
            }
        };
        write_length(reply, at + 8);
        if has_failed && !rules.is_some_and(|rules| rules.keep_going) {
            break;
        }
    }
    reply[number_at..number_at + 8].copy_from_slice(&number.to_le_bytes());
    for (times, carried) in laps.finish().into_iter().zip(carried) {
        reply.extend(times.to_bytes());
        reply.extend(carried.to_le_bytes());
    }
}

const DONE: u64 = 0;
const PANICKED: u64 = 1;
const NOT_CARRIED: u64 = 2;
const NO_STATE: u64 = 3;

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
            DONE => codec::read(bytes).map_err(Failure::NotCarried),
            PANICKED => Err(Failure::Panicked(words())),
            NO_STATE => Err(Failure::NoState(words())),
            NOT_CARRIED => Err(Failure::NotCarried(words())),
            _ => return None,
        });
    }
    let mut times = Vec::with_capacity(outcomes.len());
    let mut carried = Vec::with_capacity(outcomes.len());
    for _ in 0..number {
        times.push(TaskTimes::from_bytes(reply.chunk()?)?);
        carried.push(reply.u64()?);
    }
    Some(Outcomes { outcomes, times, carried })
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
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
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

    const RULES: Rules = Rules { keep_going: false, nesting: Nesting::NONE };

    fn written(arguments: &[u64], rules: Rules) -> Vec<u8> {
        let mut batch = Vec::new();
        rules.write(&mut batch);
        for argument in arguments {
            write_argument(argument, &mut batch).unwrap();
        }
        let mut reply = b"head".to_vec();
        run_written(half, |_| false, whole(&batch, &mut || None), &mut reply, &mut Vec::new());
        reply.split_off(4)
    }

    fn whole<'a>(
        batch: &'a [u8],
        next_part: &'a mut dyn FnMut() -> Option<Vec<u8>>,
    ) -> Incoming<'a> {
        Incoming { batch, next_part }
    }

    fn run_here(arguments: Vec<u64>, rules: Rules) -> Outcomes<u64> {
        run(half, |_| false, arguments, &rules, || true)
    }

    #[test]
    fn a_written_batch_has_the_outcomes_of_one_that_is_not() {
        for keep_going in [false, true] {
            let rules = Rules { keep_going, ..RULES };
            for arguments in [vec![], vec![8], vec![2, 4, 6], vec![2, 13, 6]] {
                let here = run_here(arguments.clone(), rules);
                let there = read_outcomes::<u64>(&written(&arguments, rules)).unwrap();
                assert_eq!(here.outcomes, there.outcomes);
                assert_eq!(there.times.len(), there.outcomes.len());
                assert_eq!(here.times.len(), here.outcomes.len());
            }
            let failed = run_here(vec![2, 13, 6], rules).outcomes;
            assert_eq!(failed.len(), if keep_going { 3 } else { 2 });
        }
    }

    #[test]
    fn a_result_that_counts_as_a_failure_ends_the_batch() {
        let outcomes = run(half, |half| *half == 2, vec![2, 4, 6], &RULES, || true).outcomes;
        assert_eq!(outcomes, [Ok(1), Ok(2)]);
    }

    #[test]
    fn an_argument_around_the_size_of_a_part_arrives_either_way() {
        for size in PART - 30..PART + 20 {
            let argument: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut batch = Vec::new();
            RULES.write(&mut batch);
            let late = write_only_argument(argument.clone(), &mut batch).unwrap();
            // Beside the bytes are the rules, the length, and the list's own.
            assert_eq!(late.is_some(), size > PART - 25, "{size} bytes");
            let mut later = Vec::new();
            if let Some(write) = late {
                write(&mut |part| {
                    later.extend_from_slice(part);
                    Ok(())
                })
                .unwrap();
            }
            let mut parts = later.chunks(1000);
            let mut next_part = || parts.next().map(<[u8]>::to_vec);
            let mut reply = Vec::new();
            let incoming = whole(&batch, &mut next_part);
            run_written(|bytes: Vec<u8>| bytes, |_| false, incoming, &mut reply, &mut Vec::new());
            let outcomes = read_outcomes::<Vec<u8>>(&reply).unwrap().outcomes;
            assert_eq!(outcomes, [Ok(argument)], "{size} bytes");
        }
    }

    #[test]
    fn a_batch_that_is_cut_or_of_another_type_is_refused() {
        let reply = written(&[2, 4, 6], RULES);
        for length in 0..reply.len() {
            assert!(read_outcomes::<u64>(&reply[..length]).is_none(), "{length} bytes");
        }
        let other = read_outcomes::<String>(&reply).unwrap();
        assert!(matches!(other.outcomes[0], Err(Failure::NotCarried(_))));
    }

    #[test]
    fn what_is_not_wanted_is_not_run() {
        let outcomes = run(half, |_| false, vec![13, 13], &RULES, || false).outcomes;
        assert!(outcomes.is_empty());
    }
}
