//! Where bytes are read from: from memory, or from parts that come in meanwhile.
//!
//! Memory is taken for bytes that are there, and not for as many as a length announces.

use super::error::Error;
use super::format::LONG;
use super::parts::PartReader;

pub(super) struct Source<'de> {
    /// The bytes in memory. Nothing, where there are parts: then all goes the slower way.
    whole: &'de [u8],
    parts: Option<PartReader<'de>>,
}

/// Bytes of a string or the like: they lie in memory, or in a part that will go, or were put together.
pub(super) enum Bytes<'a, 'de> {
    Lasting(&'de [u8]),
    Passing(&'a [u8]),
    Owned(Vec<u8>),
}

impl<'de> Source<'de> {
    pub(super) fn whole(bytes: &'de [u8]) -> Self {
        Source { whole: bytes, parts: None }
    }

    pub(super) fn parts(parts: PartReader<'de>) -> Self {
        Source { whole: &[], parts: Some(parts) }
    }

    /// How many bytes are still to come, where that is known.
    pub(super) fn known(&self) -> Option<usize> {
        self.parts.is_none().then_some(self.whole.len())
    }

    /// The bytes that are here.
    fn here(&self) -> &[u8] {
        match &self.parts {
            Some(parts) => parts.here(),
            None => self.whole,
        }
    }

    /// Goes past bytes that are here.
    fn pass(&mut self, number: usize) {
        match &mut self.parts {
            Some(parts) => parts.pass(number),
            None => self.whole = &self.whole[number..],
        }
    }

    /// Sees to it that there are bytes here, and says whether there are.
    fn has_more(&mut self) -> bool {
        match &mut self.parts {
            Some(parts) => parts.fetch(),
            None => !self.whole.is_empty(),
        }
    }

    /// The next byte, which stays the next.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.whole.first() {
            Some(byte) => Ok(*byte),
            None => self.peek_in_parts(),
        }
    }

    fn peek_in_parts(&mut self) -> Result<u8, Error> {
        self.has_more();
        self.here().first().copied().ok_or_else(Error::cut)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.whole.split_first_chunk() {
            Some((bytes, rest)) => {
                self.whole = rest;
                Ok(*bytes)
            }
            None => self.array_in_parts(),
        }
    }

    fn array_in_parts<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes behind a tag, if that comes next and they are here.
    #[inline]
    pub(super) fn tagged<const N: usize>(&mut self, tag: u8) -> Option<[u8; N]> {
        let Some(([first], rest)) = self.whole.split_first_chunk() else {
            return self.tagged_in_parts(tag);
        };
        let (bytes, rest) = rest.split_first_chunk().filter(|_| *first == tag)?;
        self.whole = rest;
        Some(*bytes)
    }

    fn tagged_in_parts<const N: usize>(&mut self, tag: u8) -> Option<[u8; N]> {
        let (first, rest) = self.here().split_first()?;
        let bytes = *rest.first_chunk().filter(|_| *first == tag)?;
        self.pass(1 + N);
        Some(bytes)
    }

    /// The bytes behind a tag and a length of one byte, if that comes next, in memory.
    #[inline]
    pub(super) fn sized(&mut self, tag: u8) -> Option<&'de [u8]> {
        let ([first, length], rest) = self.whole.split_first_chunk()?;
        if *first != tag || *length == LONG {
            return None;
        }
        let bytes;
        (bytes, self.whole) = rest.split_at_checked(usize::from(*length))?;
        Some(bytes)
    }

    /// Reads as many bytes as there is room for.
    pub(super) fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if !self.has_more() {
                return Err(Error::cut());
            }
            let here = self.here();
            let number = bytes.len().min(here.len());
            bytes[..number].copy_from_slice(&here[..number]);
            bytes = &mut bytes[number..];
            self.pass(number);
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, mut number: u64) -> Result<(), Error> {
        while number > 0 {
            if !self.has_more() {
                return Err(Error::cut());
            }
            let here = self.here().len().min(usize::try_from(number).unwrap_or(usize::MAX));
            self.pass(here);
            number -= here as u64;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn length(&mut self) -> Result<u64, Error> {
        match self.byte()? {
            LONG => Ok(u64::from_le_bytes(self.array()?)),
            short => Ok(short.into()),
        }
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Bytes<'_, 'de>, Error> {
        let length = usize::try_from(length).map_err(|_| Error::cut())?;
        let Some(parts) = &mut self.parts else {
            let bytes;
            (bytes, self.whole) = self.whole.split_at_checked(length).ok_or_else(Error::cut)?;
            return Ok(Bytes::Lasting(bytes));
        };
        if length <= parts.here().len() {
            return Ok(Bytes::Passing(parts.take(length)));
        }
        parts.put_together(length).map(Bytes::Owned).ok_or_else(Error::cut)
    }

    /// Refuses bytes behind the value.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.has_more() {
            true => Err(Error::new("there are bytes left over behind it")),
            false => Ok(()),
        }
    }
}
