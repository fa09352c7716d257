//! Replies that are long: their worker sends them in parts, through a lane of its own, once its parent has
//! given it one.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::framing::{self, HEADER, Kind};
use super::{protocol, socket};
use crate::os;
use crate::shared::{Lane, SLOT, Told};

/// As a worker sends them.
#[derive(Default)]
pub(super) struct LongReplySender {
    lane: Option<Arc<Lane>>,
    told: Told,
}

impl LongReplySender {
    /// What is long goes through this lane from now on.
    pub(super) fn set_lane(&mut self, lane: Option<Lane>) {
        self.lane = lane.map(Arc::new);
    }

    /// Sends a whole frame. Where the lane is full and the parent does not read from it in a moment, parts go
    /// through the socket.
    pub(super) fn send(&mut self, socket: &UnixStream, reply: &[u8]) -> io::Result<()> {
        let send = |frame: Vec<u8>| socket::send_all(socket, &frame, &[]);
        let lane = self.lane.as_ref().filter(|_| is_long(reply.len() - HEADER));
        let Some(lane) = lane else {
            return socket::send_all(socket, reply, &[]);
        };
        let body = &reply[HEADER..];
        send(protocol::long(body.len()))?;
        let (parts, last) = body.split_at((body.len() - 1) / SLOT * SLOT);
        for part in parts.chunks(SLOT) {
            match os::spin(|| lane.put(part)) {
                Some(filled) => {
                    send(protocol::slot(filled.place()))?;
                    self.told.push(filled);
                }
                None => send(framing::frame(Kind::Part, part))?,
            }
        }
        send(framing::frame(Kind::Reply, last))
    }
}

/// As a parent takes them in from one worker.
#[derive(Default)]
pub(crate) struct LongReplyReceiver {
    lane: Option<Arc<Lane>>,
    /// What has come of the next reply.
    begun: Vec<u8>,
}

impl LongReplyReceiver {
    /// Takes a message that is none by itself; false where it is none of a reply's.
    pub(crate) fn take(&mut self, kind: Kind, body: &[u8]) -> bool {
        match kind {
            Kind::Long => {
                let length = protocol::read_count(body);
                // Memory is taken as it is written to. Where there is not so much, it grows.
                let _ = self.begun.try_reserve_exact(length.unwrap_or(0));
                os::prefer_large_pages(&mut self.begun);
                length.is_some()
            }
            Kind::Part => {
                self.begun.extend_from_slice(body);
                true
            }
            Kind::Slot => {
                let part = protocol::in_lane(self.lane.as_ref(), body);
                part.map(|part| self.begun.extend_from_slice(&part)).is_some()
            }
            _ => false,
        }
    }

    /// The whole reply, of which this is the last part.
    pub(crate) fn end(&mut self, last: Vec<u8>) -> Vec<u8> {
        if self.begun.is_empty() {
            return last;
        }
        self.begun.extend(last);
        std::mem::take(&mut self.begun)
    }

    /// A lane for the worker, if its first long reply has come; there will be more.
    pub(crate) fn new_lane(&mut self, reply: &[u8]) -> Option<Arc<Lane>> {
        if self.lane.is_some() || !is_long(reply.len()) {
            return None;
        }
        self.lane = Lane::new().ok().map(Arc::new);
        self.lane.clone()
    }
}

fn is_long(bytes: usize) -> bool {
    bytes > 2 * SLOT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::remote::framing::Decoder;

    /// What the parent reads of replies of these lengths, and how many slots lie between.
    fn read(lengths: &[usize], has_lane: bool) -> (Vec<Vec<u8>>, usize) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut outgoing, mut incoming) =
            (LongReplySender::default(), LongReplyReceiver::default());
        if has_lane {
            let lane = incoming.new_lane(&[0; 3 * SLOT]).unwrap();
            let file = lane.segment().file().try_clone_to_owned().unwrap();
            outgoing.set_lane(Lane::open(file).ok());
        }
        let mut decoder = Decoder::new(ours);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (number, length) in lengths.iter().enumerate() {
                    let reply = framing::frame(Kind::Reply, &vec![number as u8; *length]);
                    outgoing.send(&theirs, &reply).unwrap();
                }
            });
            let (mut replies, mut slots) = (Vec::new(), 0);
            while replies.len() < lengths.len() {
                match decoder.next().unwrap().unwrap() {
                    (Kind::Reply, last) => replies.push(incoming.end(last)),
                    (kind, body) => {
                        slots += usize::from(kind == Kind::Slot);
                        assert!(incoming.take(kind, &body), "{kind:?}");
                    }
                }
            }
            (replies, slots)
        })
    }

    #[test]
    fn replies_of_all_lengths_come_as_they_were_sent() {
        let lengths = [0, 1, SLOT, 2 * SLOT, 2 * SLOT + 1, 3 * SLOT, 50 * SLOT + 7, 3];
        let expected: Vec<Vec<u8>> = lengths
            .iter()
            .enumerate()
            .map(|(number, length)| vec![number as u8; *length])
            .collect();
        for has_lane in [false, true] {
            let (replies, slots) = read(&lengths, has_lane);
            assert!(replies == expected);
            assert_eq!(slots > 0, has_lane);
        }
    }

    #[test]
    fn what_is_none_of_a_replys_is_refused() {
        let mut incoming = LongReplyReceiver::default();
        let place = protocol::slot(crate::shared::Place { slot: 0, filling: 2, length: 1 });
        assert!(!incoming.take(Kind::Slot, &place[HEADER..]), "there is no lane");
        assert!(incoming.new_lane(&[0; SLOT]).is_none(), "that was short");
        assert!(incoming.new_lane(&vec![0; 3 * SLOT]).is_some());
        assert!(incoming.new_lane(&vec![0; 3 * SLOT]).is_none(), "it has one");
        assert!(!incoming.take(Kind::Slot, &place[HEADER..]), "nothing lies there");
        assert!(!incoming.take(Kind::Slot, &[]) && !incoming.take(Kind::Long, &[1]));
        assert!(!incoming.take(Kind::Hello, &[]));
        // Of a length that is a lie nothing becomes.
        for lie in [1 << 50, u64::MAX] {
            assert!(incoming.take(Kind::Long, &lie.to_le_bytes()));
        }
        assert_eq!(incoming.end(vec![1]), [1]);
    }
}
