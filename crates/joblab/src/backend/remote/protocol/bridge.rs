//! The messages between us and the bridge to Dask, which reads and writes them in Python.

use std::time::Duration;

use super::verdict::Verdict;
use crate::backend::remote::framing::{self, Kind};
use crate::codec::Fields;

/// What the bridge to Dask is told of a batch: what stands in the body of [`Kind::Job`] before the
/// batch's own frame.
pub(crate) struct JobHead {
    pub(crate) number: u64,
    pub(crate) needs_state: bool,
    /// How long a task may take.
    pub(crate) limit: Option<Duration>,
    /// Number, descriptor and size of each piece of shared memory that is in the state, where it needs
    /// that, and of each that is in the batch, in the order in which those speak of it.
    pub(crate) memory: [Vec<[u64; 3]>; 2],
}

impl JobHead {
    /// The beginning of the frame: all but the `batch` frame.
    pub(crate) fn frame_around(&self, batch: &[u8]) -> Vec<u8> {
        let limit = self.limit.unwrap_or_default().as_nanos().try_into().unwrap_or(u64::MAX);
        let [of_state, of_batch] = [0, 1].map(|which| self.memory[which].len() as u64);
        let mut numbers = vec![self.number, self.needs_state.into(), limit, of_state, of_batch];
        numbers.extend(self.memory.iter().flatten().flatten());
        framing::around(Kind::Job, &numbers, batch)
    }
}

/// A frame of the kinds that only list numbers: [`Kind::Cancel`] and [`Kind::Forget`].
pub(crate) fn list(kind: Kind, numbers: &[u64]) -> Vec<u8> {
    framing::around(kind, numbers, &[])
}

/// The body of [`Kind::Hello`] from the bridge to Dask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DaskHello {
    /// How many tasks the cluster can run at a time.
    pub(crate) threads: usize,
    /// Whether the bridge started it.
    pub(crate) is_local: bool,
}

impl DaskHello {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let threads = usize::try_from(fields.u64()?).ok()?;
        Some(DaskHello { threads, is_local: fields.u64()? != 0 })
    }
}

/// The body of [`Kind::Reply`] from the bridge to Dask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DaskReply<'a> {
    /// Of the batch.
    pub(crate) number: u64,
    pub(crate) verdict: Verdict,
    /// The process that ran it, or should have.
    pub(crate) pid: u32,
    /// By how many nanoseconds its monotonic clock is ahead of ours.
    pub(crate) clock_ahead: i64,
    /// The Dask worker.
    pub(crate) name: &'a [u8],
    /// After [`Verdict::Done`] what follows the wall time in the worker's own reply, after
    /// [`Verdict::Died`] the process's status as of wait(2), else words.
    pub(crate) rest: &'a [u8],
}

impl<'a> DaskReply<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(message);
        Some(DaskReply {
            number: fields.u64()?,
            verdict: Verdict::read(&mut fields)?,
            pid: fields.u64()? as u32,
            clock_ahead: fields.u64()? as i64,
            name: fields.sized()?,
            rest: fields.0,
        })
    }

    /// Whether there is shared memory in the outcomes.
    pub(crate) fn has_shared_memory(&self) -> bool {
        self.rest.last_chunk() != Some(&[0; 8])
    }

    /// How the process ended, as of wait(2).
    pub(crate) fn status(&self) -> i32 {
        Fields(self.rest).u64().unwrap_or_default() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bridge_says_is_read() {
        // As `answer` of frames.py packs it, behind the number.
        let mut message = Vec::new();
        for number in [9, Verdict::Died as u64, 77, -5_i64 as u64, 2] {
            message.extend(number.to_le_bytes());
        }
        message.extend(b"w0");
        message.extend(6_u64.to_le_bytes());
        let reply = DaskReply::read(&message).unwrap();
        assert_eq!((reply.number, reply.verdict, reply.pid), (9, Verdict::Died, 77));
        assert_eq!((reply.clock_ahead, reply.name, reply.status()), (-5, b"w0".as_slice(), 6));
        assert_eq!(DaskReply::read(&message[..41]), None);
        let hello = [4_u64, 1].map(u64::to_le_bytes).concat();
        let read = DaskHello { threads: 4, is_local: true };
        assert_eq!(DaskHello::read(&hello), Some(read));
        assert_eq!(DaskHello::read(&hello[..8]), None);
    }
}
