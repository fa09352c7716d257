//! Large arguments travel in parts: a worker process reads one while the next is being written, and
//! never holds all the bytes beside the value that it makes of them.

use std::io::{self, ErrorKind, Read, Write};
use std::vec;

use super::fields::{reserve_length, write_length};

/// The size of a part: large against what it costs to send one, and small enough for the allocator to
/// give the same memory again. Memory that is touched for the first time costs more than all else.
pub(crate) const PART: usize = 1 << 16;

/// Takes a part to the worker.
pub(crate) type SendPart<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Writes an argument that is larger than a part. The error says why it cannot be carried.
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

    /// Leaves room for a length; the place of it.
    pub(crate) fn reserve_length(&mut self) -> usize {
        reserve_length(self.bytes)
    }

    /// Fills in the length of what was written behind it.
    pub(crate) fn write_length(&mut self, at: usize) {
        write_length(self.bytes, at);
    }

    #[cold]
    fn write_across(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            bytes = &bytes[written..];
        }
        Ok(())
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
        if bytes.len() > self.most - self.bytes.len().min(self.most) {
            self.make_room()?;
        }
        let bytes = &bytes[..bytes.len().min(self.most)];
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.make_room()
    }
}

/// Reads parts as if they were one, each when it is needed.
pub(crate) struct PartReader<'a> {
    part: vec::IntoIter<u8>,
    /// None after the last part, when whoever asked again would wait for what never comes.
    next: Option<&'a mut dyn FnMut() -> Option<Vec<u8>>>,
}

impl<'a> PartReader<'a> {
    /// `next` gives the parts; none after the last.
    pub(crate) fn new(next: &'a mut dyn FnMut() -> Option<Vec<u8>>) -> Self {
        PartReader { part: vec::IntoIter::default(), next: Some(next) }
    }

    /// Takes bytes that the part holds.
    #[inline]
    fn take(&mut self, bytes: &mut [u8]) {
        if let Some(last) = bytes.len().checked_sub(1) {
            bytes.copy_from_slice(&self.part.as_slice()[..=last]);
            self.part.nth(last);
        }
    }

    #[cold]
    fn read_across(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = self.read(bytes)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes = &mut bytes[read..];
        }
        Ok(())
    }
}

impl Read for PartReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.part.len() == 0 {
            match self.next.as_mut().and_then(|next| next()) {
                Some(part) => self.part = part.into_iter(),
                None => self.next = None,
            }
        }
        let length = bytes.len().min(self.part.len());
        self.take(&mut bytes[..length]);
        Ok(length)
    }

    /// Inlined for numbers, which are read from a part as a rule.
    #[inline]
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.len() <= self.part.len() {
            self.take(bytes);
            Ok(())
        } else {
            self.read_across(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_size_read_as_one() {
        let bytes: Vec<u8> = (0..=255).collect();
        for size in [1, 2, 7, 100, 256] {
            for step in [1, 8, 9, 64, 128] {
                let mut parts = Some(bytes.chunks(size));
                let mut next = || {
                    let part = parts.as_mut().expect("asked after the end").next();
                    if part.is_none() {
                        parts = None;
                    }
                    part.map(<[u8]>::to_vec)
                };
                let mut reader = PartReader::new(&mut next);
                let mut read = vec![0; bytes.len() / step * step];
                for chunk in read.chunks_mut(step) {
                    reader.read_exact(chunk).unwrap();
                }
                assert_eq!(read, bytes[..read.len()], "{size} by {step}");
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, bytes[read.len()..], "{size} by {step}");
                assert!(reader.read_exact(&mut [0]).is_err());
            }
        }
    }
}
