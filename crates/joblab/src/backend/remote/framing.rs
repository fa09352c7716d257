//! Frames: how parent and worker tell where one message ends and the next begins.
//!
//! A frame is a header of 16 bytes and a body. The header is the magic number, the kind of the
//! frame and the length of the body, all in little-endian order. Both ends are the same program,
//! so there are no versions to negotiate; the magic number finds out whoever else writes to the
//! socket.

use std::io::{BufReader, ErrorKind, Read};

use crate::os;

/// `joblab` has six letters and a header field four bytes.
const MAGIC: u32 = u32::from_le_bytes(*b"jobl");
pub(crate) const HEADER: usize = 16;
/// So much is read ahead: some short frames, or the beginning of a long one. All of it is touched in each
/// worker, whatever it reads.
const AHEAD: usize = 1 << 13;
/// This much memory is taken at once, whatever the header says; when so much has come in, room for the rest.
const RESERVE: usize = 1 << 16;

/// What a frame says. [`protocol`](super::protocol) has the bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    // Between a worker process and its parent, which is a pool of ours or a Dask worker:
    /// From the worker: it is ready for tasks.
    Hello = 1,
    /// To the worker: a library that later tasks' functions live in.
    Image = 2,
    /// To the worker: a batch of tasks.
    Batch = 3,
    /// From the worker: what became of the oldest batch that was not answered yet.
    Reply = 4,
    /// To the worker: how to make the state that later tasks need.
    State = 5,
    /// To the worker: the shared memory of the oldest reply that had any is taken over.
    Taken = 6,
    /// To the worker: a part of the last batch's argument; after the last part an empty one. From the worker: a
    /// part of the next reply, whose last one is in the reply itself.
    Part = 7,
    /// Either way: files of the next message's shared memory come with this, in as many frames as needed.
    Files = 8,
    /// To the worker: the one file that came with the frame before is for what it [notes](crate::batch).
    Journal = 9,
    /// To the worker: drop the state, and end.
    Finish = 10,
    /// To the worker: the one file that came with the frame before is the lane of its pool.
    Lane = 15,
    /// Either way: a part as in `Part`, by its place in the lane.
    Slot = 16,
    /// To the worker: the one file that came with the frame before is the lane of its long replies.
    ReplyLane = 17,
    /// From the worker: so long is the next reply, which comes in parts.
    Long = 18,

    // Between the bridge to Dask and us, beside Hello (the cluster is there, and how large it is),
    // Image, State and Reply:
    /// To the bridge: a batch, and what is to be known of it there.
    Job = 11,
    /// To the bridge: the numbers of batches that are not wanted any more.
    Cancel = 12,
    /// To the bridge: the numbers of shared memory that is gone.
    Forget = 13,
    /// From the bridge, its last word: why there is no cluster.
    Refused = 14,
}

impl Kind {
    pub(super) const ALL: [Kind; 18] = {
        use Kind::{Batch, Cancel, Files, Finish, Forget, Hello, Image};
        use Kind::{Job, Journal, Lane, Long, Part, Refused, Reply, ReplyLane, Slot, State, Taken};
        [
            Hello, Image, Batch, Reply, State, Taken, Part, Files, Journal, Finish, Job, Cancel,
            Forget, Refused, Lane, Slot, ReplyLane, Long,
        ]
    };

    fn from_u32(value: u32) -> Option<Self> {
        Kind::ALL.into_iter().find(|&kind| kind as u32 == value)
    }
}

/// A new frame: a header whose length is filled in by [`seal`] when the body is complete.
pub(crate) fn begin(kind: Kind) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.extend(MAGIC.to_le_bytes());
    frame.extend((kind as u32).to_le_bytes());
    frame.extend(0_u64.to_le_bytes());
    frame
}

/// Completes the header of a frame that [`begin`] began.
pub(crate) fn seal(frame: &mut [u8]) {
    let length = (frame.len() - HEADER) as u64;
    frame[HEADER - 8..HEADER].copy_from_slice(&length.to_le_bytes());
}

/// A whole frame.
pub(crate) fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut frame = begin(kind);
    frame.extend(body);
    seal(&mut frame);
    frame
}

/// The beginning of a frame of numbers and of what is written after it: all but the `inner` bytes.
pub(crate) fn around(kind: Kind, numbers: &[u64], inner: &[u8]) -> Vec<u8> {
    let mut frame = begin(kind);
    frame.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    let length = (frame.len() - HEADER + inner.len()) as u64;
    frame[HEADER - 8..HEADER].copy_from_slice(&length.to_le_bytes());
    frame
}

/// Why no frame can be read any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The other end is gone.
    Closed,
    /// The bytes are no frame of ours.
    Foreign(&'static str),
    /// The system's reason.
    Io(std::io::Error),
}

/// Reads frames from a socket, blocking or not.
pub(crate) struct Decoder<R> {
    reader: BufReader<R>,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(reader: R) -> Self {
        Decoder {
            reader: BufReader::with_capacity(AHEAD, reader),
            header: Vec::with_capacity(HEADER),
            body: Vec::new(),
        }
    }

    pub(crate) fn get_ref(&self) -> &R {
        self.reader.get_ref()
    }

    pub(crate) fn get_mut(&mut self) -> &mut R {
        self.reader.get_mut()
    }

    /// Whether all that was read has been given out.
    pub(crate) fn is_drained(&self) -> bool {
        self.reader.buffer().is_empty() && self.header.is_empty() && self.body.is_empty()
    }

    /// The next frame; `None` where the socket does not block and has no whole frame yet.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, Broken> {
        if !fill(&mut self.reader, &mut self.header, HEADER)? {
            return Ok(None);
        }
        let (magic, rest) = self.header.split_at(4);
        let (kind, length) = rest.split_at(4);
        if magic != MAGIC.to_le_bytes() {
            return Err(Broken::Foreign("it does not begin as a frame does"));
        }
        let kind = u32::from_le_bytes(kind.try_into().expect("four bytes"));
        let kind = Kind::from_u32(kind).ok_or(Broken::Foreign("it is of an unknown kind"))?;
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= isize::MAX as usize)
            .ok_or(Broken::Foreign("it is longer than any memory"))?;
        if !fill(&mut self.reader, &mut self.body, length)? {
            return Ok(None);
        }
        self.header.clear();
        Ok(Some((kind, std::mem::take(&mut self.body))))
    }
}

/// Reads until `buffer` holds `length` bytes. Memory is taken for bytes that came in, not for
/// bytes that were announced: the system gives it as it is written to. False where a socket that does not
/// block has no more for now.
fn fill(reader: &mut impl Read, buffer: &mut Vec<u8>, length: usize) -> Result<bool, Broken> {
    let missing = length - buffer.len();
    if missing == 0 {
        return Ok(true);
    }
    // Where some have come, the system may be asked for the rest: it takes memory as it is written to.
    let is_short = buffer.len() >= RESERVE && buffer.capacity() < length;
    if is_short && buffer.try_reserve_exact(missing).is_ok() {
        os::prefer_large_pages(buffer);
    }
    buffer
        .try_reserve(missing.min(RESERVE))
        .map_err(|_| Broken::Io(ErrorKind::OutOfMemory.into()))?;
    match reader.take(missing as u64).read_to_end(buffer) {
        Ok(_) if buffer.len() == length => Ok(true),
        Ok(_) => Err(Broken::Closed),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(buffer.len() == length),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(Broken::Closed),
        Err(error) => Err(Broken::Io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that gives its bytes in pieces of the given sizes, in turn, and has nothing for
    /// now between two of them.
    struct Pieces<'a> {
        bytes: &'a [u8],
        sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
        dry: bool,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.dry = !self.dry;
            if self.dry && !self.bytes.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            let size = self.sizes.next().unwrap_or(1).min(buffer.len());
            self.bytes.read(&mut buffer[..size])
        }
    }

    fn pieces(bytes: &[u8], sizes: Vec<usize>) -> Decoder<Pieces<'_>> {
        let sizes = sizes.into_iter().cycle();
        Decoder::new(Pieces { bytes, sizes, dry: false })
    }

    /// Reads all frames, and how it ended.
    fn read_all<R: Read>(decoder: &mut Decoder<R>) -> (Vec<(Kind, Vec<u8>)>, Broken) {
        let mut frames = Vec::new();
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => {}
                Err(broken) => return (frames, broken),
            }
        }
    }

    /// Marsaglia's xorshift: the same numbers at each run, so that a failure can be repeated.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    #[test]
    fn frames_arrive_however_the_socket_cuts_them() {
        let bodies: [&[u8]; 4] = [b"", b"x", &[7; 100_000], b"the last one"];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(Kind::Batch, body)).collect();
        for sizes in [vec![1], vec![16], vec![15, 2], vec![100_000], vec![3, 70_000, 1]] {
            let (frames, end) = read_all(&mut pieces(&stream, sizes));
            let got: Vec<&[u8]> = frames.iter().map(|(_, body)| body.as_slice()).collect();
            assert_eq!(got, bodies);
            assert!(matches!(end, Broken::Closed));
        }
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        let mut lie = begin(Kind::Reply);
        lie[8..16].copy_from_slice(&(1_u64 << 50).to_le_bytes());
        lie.extend(b"that is all");
        let mut decoder = Decoder::new(lie.as_slice());
        assert!(matches!(decoder.next(), Err(Broken::Closed)));
        assert!(decoder.body.capacity() <= 2 * RESERVE);
        let mut lie = begin(Kind::Reply);
        lie[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(Decoder::new(lie.as_slice()).next(), Err(Broken::Foreign(_))));
    }

    #[test]
    fn noise_and_damaged_frames_are_refused_and_never_panic() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..20_000 {
            let body: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            let mut stream = match random.below(3) {
                0 => body.clone(),
                _ => frame(Kind::Reply, &body),
            };
            // Damage some bytes, or tear off the end.
            for _ in 0..random.below(4) {
                if !stream.is_empty() {
                    let at = random.below(stream.len());
                    stream[at] ^= 1 << random.below(8);
                }
            }
            stream.truncate(random.below(stream.len() + 1) + random.below(8));
            let (frames, _) = read_all(&mut pieces(&stream, vec![1 + random.below(20)]));
            let read: usize = frames.iter().map(|(_, body)| HEADER + body.len()).sum();
            assert!(read <= stream.len(), "more came out than went in");
        }
    }
}
