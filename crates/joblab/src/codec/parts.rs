//! Large arguments travel in parts: a worker process reads one while the next is being written, and
//! never holds all the bytes beside the value that it makes of them.

use std::io::{self, ErrorKind, Write};
use std::ops::Deref;

use super::fields::{reserve_length, write_length};
use crate::os;
use crate::shared::{SLOT, Taken};

/// The size of a part: large against what it costs to send one, and small enough for the allocator to
/// give the same memory again. Memory that is touched for the first time costs more than all else.
pub(crate) const PART: usize = SLOT;

/// More than the length of a list, the times of its task and the end of a message take.
const AROUND: usize = 1 << 12;

/// Takes a part to the worker.
pub(crate) type SendPart<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Writes an argument that is larger than a part, and behind its last part an empty one. The error says why it
/// cannot be carried.
pub(crate) type WriteParts = Box<dyn FnOnce(&mut SendPart<'_>) -> Result<(), String>>;

/// Where values are written: into bytes, as many as may be.
pub(crate) struct Sink<'a> {
    bytes: &'a mut Vec<u8>,
    most: usize,
    send: Option<&'a mut SendPart<'a>>,
    /// Whether there was more to be written than may be.
    pub(crate) is_full: bool,
}

impl<'a> Sink<'a> {
    /// Appends without an end.
    pub(crate) fn growing(bytes: &'a mut Vec<u8>) -> Self {
        Sink { bytes, most: usize::MAX, send: None, is_full: false }
    }

    /// Appends as long as the bytes fit into one part.
    pub(crate) fn of_one_part(bytes: &'a mut Vec<u8>) -> Self {
        Sink { most: PART, ..Sink::growing(bytes) }
    }

    /// Sends the bytes whenever they are a part.
    pub(crate) fn sending(bytes: &'a mut Vec<u8>, send: &'a mut SendPart<'a>) -> Self {
        Sink { send: Some(send), ..Sink::of_one_part(bytes) }
    }

    /// Appends a byte, a length of one byte, and so many bytes, if they all fit, and says whether they
    /// did. Quicker than one after the other.
    #[inline]
    pub(super) fn put_short(&mut self, first: u8, bytes: &[u8]) -> bool {
        let total = 2 + bytes.len();
        if bytes.len() >= 255 || total > self.most - self.bytes.len().min(self.most) {
            return false;
        }
        self.bytes.reserve(total);
        self.bytes.extend_from_slice(&[first, bytes.len() as u8]);
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Writes bytes. The error says why that cannot be done.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.write_all(bytes).map_err(|error| error.to_string())
    }

    /// Takes memory for a list of so many bytes, where it is kept, and for what is written around it.
    pub(super) fn expect(&mut self, bytes: usize) {
        let before = self.bytes.capacity();
        // Where there is not so much, writing them says so.
        if self.most == usize::MAX && self.bytes.try_reserve(bytes.saturating_add(AROUND)).is_ok() {
            let has_grown = self.bytes.capacity() > before;
            has_grown.then(|| os::prefer_large_pages(self.bytes));
        }
    }

    /// Leaves room for a length; the place of it.
    pub(crate) fn reserve_length(&mut self) -> usize {
        reserve_length(self.bytes)
    }

    /// Fills in the length of what was written behind it.
    pub(crate) fn write_length(&mut self, at: usize) {
        write_length(self.bytes, at);
    }

    /// Whole parts go out from where they lie.
    #[cold]
    fn write_across(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let most = self.most;
            let sent = match &mut self.send {
                Some(send) if self.bytes.is_empty() && bytes.len() >= most => {
                    send(&bytes[..most])?;
                    most
                }
                _ => self.write(bytes)?,
            };
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Sends what is left, and an empty part.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.send.as_mut().map_or(Ok(()), |send| send(&[]))
    }

    fn make_room(&mut self) -> io::Result<()> {
        let Some(send) = &mut self.send else {
            self.is_full = true;
            return Err(ErrorKind::StorageFull.into());
        };
        if !self.bytes.is_empty() {
            send(self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

impl Write for Sink<'_> {
    /// Inlined for numbers, which fit as a rule.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.most - self.bytes.len().min(self.most) {
            return self.write_across(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.most - self.bytes.len().min(self.most);
        if bytes.len() > room && (room == 0 || self.send.is_none()) {
            self.make_room()?;
            room = self.most;
        }
        let bytes = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(bytes);
        if self.send.is_some() && self.bytes.len() == self.most {
            self.make_room()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.make_room()
    }
}

/// A part, wherever it lies.
pub(crate) enum PartBytes {
    Own(Vec<u8>),
    InLane(Taken),
}

impl Deref for PartBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            PartBytes::Own(bytes) => bytes,
            PartBytes::InLane(bytes) => bytes,
        }
    }
}

/// The parts of a value, each when it is needed.
pub(crate) struct PartReader<'a> {
    /// None after the last part, when whoever asked again would wait for what never comes.
    next: Option<&'a mut dyn FnMut() -> Option<PartBytes>>,
}

impl<'a> PartReader<'a> {
    /// `next` gives the parts; none after the last.
    pub(crate) fn new(next: &'a mut dyn FnMut() -> Option<PartBytes>) -> Self {
        PartReader { next: Some(next) }
    }

    /// Waits for the next part that is not empty; `None` after the last.
    pub(super) fn next(&mut self) -> Option<PartBytes> {
        loop {
            match self.next.as_mut().and_then(|next| next()) {
                Some(part) if part.is_empty() => {}
                Some(part) => return Some(part),
                None => {
                    self.next = None;
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_for_a_part_after_the_last() {
        let mut parts = Some([vec![1], vec![], vec![2, 3]].into_iter());
        let mut next = || {
            let part = parts.as_mut().expect("asked after the end").next();
            if part.is_none() {
                parts = None;
            }
            part.map(PartBytes::Own)
        };
        let mut reader = PartReader::new(&mut next);
        let mut next = || reader.next().map(|part| part.to_vec());
        assert_eq!(next(), Some(vec![1]));
        assert_eq!(next(), Some(vec![2, 3]));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }

    #[test]
    fn a_sink_sends_parts_of_its_size() {
        let bytes: Vec<u8> = (0..3 * PART + 5).map(|n| (n % 251) as u8).collect();
        for step in [1, 7, PART - 1, PART, PART + 1, bytes.len()] {
            let (mut sent, mut part) = (Vec::new(), Vec::new());
            let mut send = |part: &[u8]| {
                assert!((1..=PART).contains(&part.len()));
                sent.extend_from_slice(part);
                Ok(())
            };
            let mut sink = Sink::sending(&mut part, &mut send);
            bytes.chunks(step).for_each(|chunk| sink.write_all(chunk).unwrap());
            sink.flush().unwrap();
            assert!(sent == bytes, "{step} at once");
        }
    }
}
