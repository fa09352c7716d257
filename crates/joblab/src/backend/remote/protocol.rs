//! Every message that crosses the border of a process: how it is written, beside how it is read.
//!
//! Parent and worker are the same program, and so are both sides of all that is here but for what
//! goes to and comes from the bridge to Dask, which is written in Python: `dask/frames.py` has the same
//! numbers, and `dask/bridge.py` and `dask/process.py` read and write the same messages. What a batch and
//! its outcomes look like inside of these is the business of [`batch`](crate::batch).

mod bridge;
mod verdict;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use super::framing::{self, HEADER, Kind};
use super::images::ImageAddress;
use crate::codec::Fields;
use crate::shared::{Lane, Place, Taken};

pub(crate) use self::bridge::{DaskHello, DaskReply, JobHead, list};
pub(crate) use self::verdict::Verdict;

/// Where a worker finds two functions: what the bodies of [`Kind::Batch`] (a trampoline and the user's
/// function) and [`Kind::State`] (what reads the context and the user's function) begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(pub(crate) [ImageAddress; 2]);

impl Head {
    const BYTES: usize = 32;

    /// A new frame with room for the head, which is known when all else is written.
    pub(crate) fn leave_room(kind: Kind) -> Vec<u8> {
        let mut frame = framing::begin(kind);
        frame.extend([0; Head::BYTES]);
        frame
    }

    /// Writes the head into the room that the frame has for it.
    pub(crate) fn fill_in(self, frame: &mut [u8]) {
        let numbers = self.0.into_iter().flat_map(|place| [place.image, place.offset]);
        for (room, number) in frame[HEADER..HEADER + Head::BYTES].chunks_exact_mut(8).zip(numbers) {
            room.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads a body: the head, and what follows it.
    pub(crate) fn read(body: &[u8]) -> Option<(Head, &[u8])> {
        let mut fields = Fields(body);
        let mut place = || Some(ImageAddress { image: fields.u64()?, offset: fields.u64()? });
        let head = Head([place()?, place()?]);
        Some((head, fields.0))
    }
}

/// The body of [`Kind::Image`]: nothing for the program, or a library's identity and path with a nul in
/// between. A copy that was made for the worker has no identity that we could know; of a library that was
/// unloaded both are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageName<'a> {
    Program,
    Library { identity: &'a [u8], path: &'a OsStr },
    Unloaded,
}

impl<'a> ImageName<'a> {
    /// The whole frame.
    pub(crate) fn frame(self) -> Vec<u8> {
        let body = match self {
            ImageName::Program => Vec::new(),
            ImageName::Library { identity, path } => [identity, b"\0", path.as_bytes()].concat(),
            ImageName::Unloaded => vec![0],
        };
        framing::frame(Kind::Image, &body)
    }

    pub(crate) fn read(body: &'a [u8]) -> Self {
        match body.iter().position(|&byte| byte == 0) {
            None => ImageName::Program,
            Some(_) if body.len() == 1 => ImageName::Unloaded,
            Some(middle) => {
                let path = OsStr::from_bytes(&body[middle + 1..]);
                ImageName::Library { identity: &body[..middle], path }
            }
        }
    }
}

/// The body of [`Kind::Reply`] while a worker writes it: the verdict, the time that the batch took in
/// nanoseconds, and the outcomes; at the end how many files of shared memory came in front of it.
pub(crate) struct ReplyWriter {
    /// The frame, to which the outcomes are appended.
    pub(crate) frame: Vec<u8>,
}

impl ReplyWriter {
    pub(crate) fn done() -> Self {
        let mut frame = framing::begin(Kind::Reply);
        frame.extend((Verdict::Done as u64).to_le_bytes());
        frame.extend([0; 8]);
        ReplyWriter { frame }
    }

    /// The whole frame, when the outcomes are in it.
    pub(crate) fn finish(mut self, wall: Duration, files: usize) -> Vec<u8> {
        let wall = wall.as_nanos() as u64;
        self.frame[HEADER + 8..HEADER + 16].copy_from_slice(&wall.to_le_bytes());
        self.frame.extend((files as u64).to_le_bytes());
        framing::seal(&mut self.frame);
        self.frame
    }

    /// The whole frame of a worker that cannot call the function, for this reason.
    pub(crate) fn no_function(reason: &str) -> Vec<u8> {
        let mut frame = framing::begin(Kind::Reply);
        frame.extend((Verdict::NoFunction as u64).to_le_bytes());
        frame.extend(reason.as_bytes());
        framing::seal(&mut frame);
        frame
    }
}

/// The body of [`Kind::Reply`] as a worker's parent reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplyRead {
    Done {
        wall: Duration,
        /// Where the outcomes begin.
        outcomes: usize,
        /// How many files of shared memory came in front of it.
        files: usize,
    },
    NoFunction(String),
}

impl ReplyRead {
    /// None where the message is not whole.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let mut fields = Fields(message);
        match Verdict::read(&mut fields)? {
            Verdict::Done => {
                let wall = Duration::from_nanos(fields.u64()?);
                let outcomes = message.len() - fields.0.len();
                let files = usize::try_from(u64::from_le_bytes(*fields.0.last_chunk()?)).ok()?;
                Some(ReplyRead::Done { wall, outcomes, files })
            }
            Verdict::NoFunction => {
                Some(ReplyRead::NoFunction(String::from_utf8_lossy(fields.0).into_owned()))
            }
            _ => None,
        }
    }
}

/// A frame of [`Kind::Files`], with which so many files go.
pub(crate) fn files(count: usize) -> Vec<u8> {
    framing::around(Kind::Files, &[count as u64], &[])
}

/// A frame of [`Kind::Long`], for a reply of so many bytes.
pub(crate) fn long(bytes: usize) -> Vec<u8> {
    framing::around(Kind::Long, &[bytes as u64], &[])
}

/// The body of [`Kind::Files`] or [`Kind::Long`].
pub(crate) fn read_count(body: &[u8]) -> Option<usize> {
    usize::try_from(Fields(body).u64()?).ok()
}

/// A frame of [`Kind::Slot`].
pub(crate) fn slot(place: Place) -> Vec<u8> {
    framing::around(Kind::Slot, &[place.slot, place.filling, place.length], &[])
}

/// The part that the body of [`Kind::Slot`] speaks of, if it lies in that lane.
pub(crate) fn in_lane(lane: Option<&Arc<Lane>>, body: &[u8]) -> Option<Taken> {
    lane?.take(read_slot(body)?)
}

fn read_slot(body: &[u8]) -> Option<Place> {
    let mut fields = Fields(body);
    Some(Place { slot: fields.u64()?, filling: fields.u64()?, length: fields.u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of a frame.
    fn body(frame: &[u8]) -> &[u8] {
        let (header, body) = frame.split_at(HEADER);
        assert_eq!(header[8..], (body.len() as u64).to_le_bytes(), "its length is right");
        body
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let place = |image, offset| ImageAddress { image, offset };
        let head = Head([place(1, 2), place(u64::MAX, 1 << 40)]);
        let mut frame = Head::leave_room(Kind::Batch);
        frame.extend(b"the rest");
        head.fill_in(&mut frame);
        framing::seal(&mut frame);
        assert_eq!(Head::read(body(&frame)), Some((head, b"the rest".as_slice())));
        assert_eq!(Head::read(&body(&frame)[..31]), None);
    }

    #[test]
    fn an_image_is_read_as_it_was_written() {
        let named = |identity, path| ImageName::Library { identity, path: OsStr::from_bytes(path) };
        let names = [
            ImageName::Program,
            ImageName::Unloaded,
            named(b"fe:00 42", b"/a b/lib.so"),
            named(b"", b"/no \xff text\n"),
        ];
        for name in names {
            assert_eq!(ImageName::read(body(&name.frame())), name);
        }
    }

    #[test]
    fn a_reply_is_read_as_it_was_written() {
        for files in [0, 1000] {
            let mut writer = ReplyWriter::done();
            writer.frame.extend(b"outcomes");
            let wall = Duration::from_nanos(12_345);
            let frame = writer.finish(wall, files);
            let message = body(&frame);
            let read = ReplyRead::read(message).unwrap();
            assert_eq!(read, ReplyRead::Done { wall, outcomes: 16, files });
            assert!(message[16..].starts_with(b"outcomes"));
            assert_eq!(ReplyRead::read(&message[..20]), None);
        }
        let frame = ReplyWriter::no_function("it is gone");
        let read = ReplyRead::read(body(&frame));
        assert_eq!(read, Some(ReplyRead::NoFunction("it is gone".to_owned())));
        assert_eq!(read_count(body(&files(253))), Some(253));
        let place = Place { slot: 3, filling: 1 << 40, length: 65_536 };
        assert_eq!(read_slot(body(&slot(place))), Some(place));
        assert_eq!(read_slot(&[0; 23]), None);
    }

    /// Names and numbers from lines like `ONE, TWO = range(1, 3)` of the Python side.
    fn numbered(first: &str) -> Vec<(String, u64)> {
        let python = include_str!("../dask/frames.py");
        let is_it = |line: &&str| line.starts_with(&format!("{first}, "));
        let (names, range) = python.lines().find(is_it).unwrap().split_once(" = range(").unwrap();
        let range = range.trim_end_matches(')');
        let (start, end) = range.split_once(", ").unwrap_or(("0", range));
        let numbers = start.parse().unwrap()..end.parse().unwrap();
        let names: Vec<String> = names.split(", ").map(|name| name.replace('_', "")).collect();
        assert_eq!(names.len() as u64, numbers.end - numbers.start);
        names.into_iter().zip(numbers).collect()
    }

    #[test]
    fn python_has_the_same_numbers() {
        let name = |value: &dyn std::fmt::Debug| format!("{value:?}").to_uppercase();
        // No lane leads past this machine.
        let is_known =
            |kind: &&Kind| !matches!(kind, Kind::Lane | Kind::Slot | Kind::ReplyLane | Kind::Long);
        let kinds = Kind::ALL.iter().filter(is_known);
        let mut kinds: Vec<_> = kinds.map(|kind| (name(kind), u64::from(*kind as u32))).collect();
        kinds.sort_by_key(|(_, number)| *number);
        assert_eq!(kinds, [numbered("HELLO"), numbered("JOB")].concat());
        let verdicts: Vec<_> =
            Verdict::ALL.iter().map(|verdict| (name(verdict), *verdict as u64)).collect();
        assert_eq!(verdicts, numbered("DONE"));
    }
}
