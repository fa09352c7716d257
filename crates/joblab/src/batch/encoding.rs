//! Batches and their outcomes as bytes, and how a caller reads the outcomes. It writes a batch in
//! [`arguments`](super::arguments), and the worker runs it in [`written_batch`](super::written_batch).
//!
//! A written batch is the [rules](Rules) and then, for each argument, a length (u64, little-endian)
//! and its bytes; a length of 0 says that the bytes follow in [parts](crate::codec), since no value is
//! written as no bytes. A batch of outcomes begins with their number n; then come n outcomes, each a
//! tag, a length and bytes; then n times the [times](TaskTimes).

use super::journal::Noted;
use super::runner::{Failure, Outcomes};
use crate::codec::Fields;
use crate::measure::{TaskTimes, times_to_bytes};

/// Tags of outcomes.
pub(super) const RESULT: u64 = 0;
pub(super) const PANICKED: u64 = 1;
pub(super) const NOT_CARRIED: u64 = 2;
pub(super) const NO_STATE: u64 = 3;
pub(super) const RETURNED: u64 = 4;
pub(super) const ARGUMENT_UNREAD: u64 = 5;

/// Writes what a worker has noted of tasks as it would have written it in its reply.
pub(crate) fn message_of(noted: &[Noted]) -> Vec<u8> {
    let lost = "it has run, and its result was too large to be kept when its worker process died";
    let lost = (NOT_CARRIED, lost.as_bytes().to_vec());
    let mut message = (noted.len() as u64).to_le_bytes().to_vec();
    for Noted { outcome, .. } in noted {
        let (tag, bytes) = outcome.as_ref().unwrap_or(&lost);
        message.extend(tag.to_le_bytes());
        message.extend((bytes.len() as u64).to_le_bytes());
        message.extend(bytes);
    }
    for Noted { times, .. } in noted {
        message.extend(times_to_bytes(*times));
    }
    message
}

/// Reads the outcomes of a written batch.
pub(crate) struct ResultReader<'a> {
    reply: Fields<'a>,
    /// How many outcomes are still to be read.
    left: u64,
    place: usize,
    failures: Vec<(usize, Failure)>,
    is_torn: bool,
}

impl<'a> ResultReader<'a> {
    /// Reads a reply. `read` has the results' type. None where the reply is not whole.
    pub(crate) fn read(reply: &'a [u8], read: &mut dyn FnMut(&mut Self)) -> Option<Outcomes> {
        let mut reply = Fields(reply);
        let left = reply.u64()?;
        let (failures, is_torn) = (Vec::new(), false);
        let mut reader = ResultReader { reply, left, place: 0, failures, is_torn };
        read(&mut reader);
        if reader.is_torn {
            return None;
        }
        let ResultReader { reply, place: tasks, failures, .. } = reader;
        // No more than came in.
        let times = reply.0.as_chunks().0.get(..tasks)?;
        Some(Outcomes { times: times.iter().map(TaskTimes::from_bytes).collect(), failures })
    }

    /// The bytes of the next result; none after the last.
    pub(crate) fn next_result(&mut self) -> Option<&'a [u8]> {
        while self.left > 0 {
            let Some((tag, bytes)) = self.reply.u64().zip(self.reply.sized()) else {
                self.is_torn = true;
                return None;
            };
            self.left -= 1;
            self.place += 1;
            let words = || String::from_utf8_lossy(bytes).into_owned();
            let failure = match tag {
                RESULT => return Some(bytes),
                RETURNED => {
                    self.failures.push((self.place - 1, Failure::Returned));
                    return Some(bytes);
                }
                PANICKED => Failure::Panicked(words()),
                NO_STATE => Failure::NoState(words()),
                ARGUMENT_UNREAD => Failure::ArgumentUnread(words()),
                NOT_CARRIED => Failure::NotCarried(words()),
                _ => {
                    self.is_torn = true;
                    return None;
                }
            };
            self.failures.push((self.place - 1, failure));
        }
        None
    }

    /// The result that was given last does not decode, for this reason.
    pub(crate) fn refuse(&mut self, reason: String) {
        let place = self.place - 1;
        self.failures.retain(|(failed, _)| *failed != place);
        self.failures.push((place, Failure::NotCarried(reason)));
    }
}
