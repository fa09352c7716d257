//! Numbers of a list that were written without tags of their own.

use super::error::Error;
use super::format::width;
use super::source::Source;

/// So many bytes are fetched at once.
const STEP: u64 = 1 << 12;

/// A run that is being read. Its numbers are fetched in steps, so that one that lies in two parts is no
/// other than the rest.
pub(super) struct Run {
    tag: u8,
    fetched: Vec<u8>,
    read: usize,
    /// How many bytes are still to be fetched.
    left: u64,
}

impl Run {
    pub(super) const NONE: Run = Run { tag: 0, fetched: Vec::new(), read: 0, left: 0 };

    /// Begins a run of so many numbers of a tag.
    pub(super) fn begin(&mut self, tag: u8, numbers: u64) -> Result<(), Error> {
        let width = width(tag).ok_or_else(|| Error::damaged(tag))? as u64;
        self.left = numbers.checked_mul(width).ok_or_else(Error::cut)?;
        self.tag = tag;
        Ok(())
    }

    /// Whether numbers are here that were not read yet.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.read < self.fetched.len()
    }

    /// Fetches numbers where none are here, and says whether there are any.
    #[inline]
    pub(super) fn fetch(&mut self, source: &mut Source<'_>) -> Result<bool, Error> {
        if self.is_here() || self.left == 0 {
            return Ok(self.is_here());
        }
        self.fetch_step(source)
    }

    fn fetch_step(&mut self, source: &mut Source<'_>) -> Result<bool, Error> {
        let step = self.left.min(STEP);
        self.left -= step;
        self.read = 0;
        self.fetched.resize(step as usize, 0);
        let fetched = source.fill(&mut self.fetched);
        if fetched.is_err() {
            self.fetched.clear();
        }
        fetched.map(|()| true)
    }

    /// The tag of the numbers, if some are here.
    #[inline]
    pub(super) fn tag(&self) -> Option<u8> {
        self.is_here().then_some(self.tag)
    }

    /// Takes the next number, if one is here.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.fetched.get(self.read..)?.first_chunk()?;
        self.read += N;
        Some(bytes)
    }

    /// Takes all numbers that are here, if there are some of this tag.
    pub(super) fn take_all_of(&mut self, tag: u8) -> Option<&[u8]> {
        if self.tag()? != tag {
            return None;
        }
        let start = std::mem::replace(&mut self.read, self.fetched.len());
        Some(&self.fetched[start..])
    }
}
