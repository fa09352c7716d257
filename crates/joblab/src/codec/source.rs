#![allow(unsafe_code)]
//! Where bytes are read from: from memory, or from parts that come in meanwhile.
//!
//! Memory is taken for bytes that are there, and not for as many as a length announces.

use std::slice;

use super::error::Error;
use super::format::LONG;
use super::parts::{PartBytes, PartReader};

/// Bytes to be read. Those that are here lie in `here`, whatever they are of, so that most of what is
/// read costs no question.
pub(super) struct Source<'de> {
    /// What is left of the bytes in memory, or of `part`: in that case it lives no longer than the part
    /// does, and must not leave this file for `'de`: `lasting_str` and `lend` see to that.
    here: &'de [u8],
    /// The part that `here` is of, if there are parts. Nobody changes or drops it before `here` is set
    /// anew.
    part: PartBytes,
    parts: Option<PartReader<'de>>,
}

/// Before the first part, and where there are none.
const NO_PART: PartBytes = PartBytes::Own(Vec::new());

/// Bytes of a string or the like: they lie in memory, or in a part that will go, or were put together.
pub(super) enum Bytes<'a, 'de> {
    Lasting(&'de [u8]),
    Passing(&'a [u8]),
    Owned(Vec<u8>),
}

/// A string: see [`Bytes`].
pub(super) enum Text<'a, 'de> {
    Lasting(&'de str),
    Passing(&'a str),
    Owned(String),
}

impl<'de> Source<'de> {
    pub(super) fn whole(bytes: &'de [u8]) -> Self {
        Source { here: bytes, part: NO_PART, parts: None }
    }

    pub(super) fn parts(parts: PartReader<'de>) -> Self {
        Source { here: &[], part: NO_PART, parts: Some(parts) }
    }

    /// How many bytes are still to come, where that is known.
    pub(super) fn known(&self) -> Option<usize> {
        self.parts.is_none().then_some(self.here.len())
    }

    /// Sees to it that there are bytes here, and says whether there are.
    fn has_more(&mut self) -> bool {
        !self.here.is_empty() || self.fetch()
    }

    #[cold]
    fn fetch(&mut self) -> bool {
        let Some(part) = self.parts.as_mut().and_then(PartReader::next) else {
            return false;
        };
        self.here = &[];
        self.part = part;
        // SAFETY: these are the bytes of the part, which stay where they are if it is moved, and
        // which nobody writes to. It lives until it is replaced, just above, after `here` was; and what
        // is taken of `here` is given away for `'de` only where there are no parts.
        self.here = unsafe { slice::from_raw_parts(self.part.as_ptr(), self.part.len()) };
        true
    }

    /// The next byte, which stays the next.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.here.first() {
            Some(byte) => Ok(*byte),
            None => self.peek_further(),
        }
    }

    #[cold]
    fn peek_further(&mut self) -> Result<u8, Error> {
        self.fetch();
        self.here.first().copied().ok_or_else(Error::cut)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.here.split_first_chunk() {
            Some((bytes, rest)) => {
                self.here = rest;
                Ok(*bytes)
            }
            None => self.array_across(),
        }
    }

    #[cold]
    fn array_across<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes behind a tag, if that comes next and they are here.
    #[inline]
    pub(super) fn tagged<const N: usize>(&mut self, tag: u8) -> Option<[u8; N]> {
        let ([first], rest) = self.here.split_first_chunk()?;
        let (bytes, rest) = rest.split_first_chunk().filter(|_| *first == tag)?;
        self.here = rest;
        Some(*bytes)
    }

    /// The string behind a tag and a length of one byte, if that comes next, in memory. What is no UTF-8
    /// is left.
    #[inline]
    pub(super) fn lasting_str(&mut self, tag: u8) -> Option<&'de str> {
        if self.parts.is_some() { None } else { self.short_str(tag) }
    }

    /// The same in a part that will go.
    #[inline]
    pub(super) fn passing_str(&mut self, tag: u8) -> Option<&str> {
        self.short_str(tag)
    }

    #[inline]
    fn short_str(&mut self, tag: u8) -> Option<&'de str> {
        let ([first, length], rest) = self.here.split_first_chunk()?;
        if *first != tag || *length == LONG {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
        let text = str::from_utf8(bytes).ok()?;
        self.here = rest;
        Some(text)
    }

    /// Bytes that were taken of `here`, for as long as they live.
    fn lend(&mut self, bytes: &'de [u8]) -> Bytes<'_, 'de> {
        match self.parts {
            None => Bytes::Lasting(bytes),
            Some(_) => Bytes::Passing(bytes),
        }
    }

    /// The bytes that are here, up to so many, of pieces that are so wide: none where a piece lies in two
    /// parts. An error where nothing comes any more.
    pub(super) fn pieces(&mut self, most: usize, width: usize) -> Result<&[u8], Error> {
        if !self.has_more() {
            return Err(Error::cut());
        }
        let here = self.here.len().min(most);
        let (pieces, rest) = self.here.split_at(here - here % width);
        self.here = rest;
        Ok(pieces)
    }

    /// Reads as many bytes as there is room for.
    pub(super) fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if !self.has_more() {
                return Err(Error::cut());
            }
            let (here, rest) = self.here.split_at(bytes.len().min(self.here.len()));
            bytes[..here.len()].copy_from_slice(here);
            bytes = &mut bytes[here.len()..];
            self.here = rest;
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, mut number: u64) -> Result<(), Error> {
        while number > 0 {
            if !self.has_more() {
                return Err(Error::cut());
            }
            let here = self.here.len().min(usize::try_from(number).unwrap_or(usize::MAX));
            self.here = &self.here[here..];
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
        if let Some((bytes, rest)) = self.here.split_at_checked(length) {
            self.here = rest;
            return Ok(self.lend(bytes));
        }
        match self.parts {
            Some(_) => self.put_together(length).map(Bytes::Owned),
            None => Err(Error::cut()),
        }
    }

    /// Takes bytes that lie in several parts.
    #[cold]
    fn put_together(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            if !self.has_more() {
                return Err(Error::cut());
            }
            let most = self.here.len().min(length - bytes.len());
            let (here, rest) = self.here.split_at(most);
            bytes.extend_from_slice(here);
            self.here = rest;
        }
        Ok(bytes)
    }

    /// Refuses bytes behind the value.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.has_more() {
            true => Err(Error::new("there are bytes left over behind it")),
            false => Ok(()),
        }
    }
}
