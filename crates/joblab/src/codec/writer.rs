//! Writes the [format](super::format) piece by piece, and knows nothing of what the pieces are of.

use std::io::Write;
use std::mem;

use super::error::Error;
use super::format::*;
use super::parts::Sink;
use super::stack::Stack;

/// The most bytes that the numbers of a run take.
const RUN: usize = 1 << 13;

pub(super) struct Writer<'w, 's> {
    sink: &'w mut Sink<'s>,
    stack: Stack,
    /// Whether the value that comes next is an item of a list, and may be one of a run.
    pub(super) is_item: bool,
    /// The tag of the numbers in `run`.
    run_tag: u8,
    /// The numbers of the last items, which are still to be written.
    run: Vec<u8>,
}

impl<'w, 's> Writer<'w, 's> {
    pub(super) fn new(sink: &'w mut Sink<'s>) -> Self {
        Writer { sink, stack: Stack::here(), is_item: false, run_tag: 0, run: Vec::new() }
    }

    pub(super) fn number<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) -> Result<(), Error> {
        if self.is_item {
            if self.run_tag != tag || self.run.len() + N > RUN {
                self.write_run()?;
                self.run_tag = tag;
            }
            self.run.extend_from_slice(&bytes);
            return Ok(());
        }
        let mut tagged = [0; 17];
        tagged[0] = tag;
        tagged[1..=N].copy_from_slice(&bytes);
        Ok(self.sink.write_all(&tagged[..=N])?)
    }

    fn write_run(&mut self) -> Result<(), Error> {
        if !self.run.is_empty() {
            let mut run = mem::take(&mut self.run);
            self.numbers(self.run_tag, &run)?;
            run.clear();
            self.run = run;
        }
        Ok(())
    }

    /// Before anything that is no number of a run.
    #[inline]
    pub(super) fn end_run(&mut self) -> Result<(), Error> {
        if self.is_item {
            self.is_item = false;
            self.write_run()?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn tag(&mut self, tag: u8) -> Result<(), Error> {
        self.end_run()?;
        Ok(self.sink.write_all(&[tag])?)
    }

    /// A value that holds others.
    #[inline]
    pub(super) fn outer(&mut self, tag: u8) -> Result<(), Error> {
        if self.stack.is_spent() { Err(Error::too_deep()) } else { self.tag(tag) }
    }

    pub(super) fn sized(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Error> {
        self.end_run()?;
        if self.sink.put_short(tag, bytes) {
            return Ok(());
        }
        self.header(tag, bytes.len())?;
        Ok(self.sink.write_all(bytes)?)
    }

    /// A tag and the length behind it.
    #[inline]
    fn header(&mut self, tag: u8, length: usize) -> Result<(), Error> {
        if length < usize::from(LONG) {
            return Ok(self.sink.write_all(&[tag, length as u8])?);
        }
        let mut header = [tag, LONG, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..].copy_from_slice(&(length as u64).to_le_bytes());
        Ok(self.sink.write_all(&header)?)
    }

    /// Numbers behind each other, all at once.
    fn numbers(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Error> {
        let Some(width) = width(tag) else {
            return Ok(());
        };
        self.sink.write_all(&[NUMBERS])?;
        self.header(tag, bytes.len() / width)?;
        Ok(self.sink.write_all(bytes)?)
    }

    /// A list that holds nothing else.
    pub(super) fn list(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Error> {
        self.many(SEQ, width(tag).map(|width| bytes.len() / width))?;
        self.numbers(tag, bytes)?;
        self.tag(END)
    }

    /// The beginning of items or entries.
    #[inline]
    pub(super) fn many(&mut self, tag: u8, hint: Option<usize>) -> Result<(), Error> {
        if self.stack.is_spent() {
            return Err(Error::too_deep());
        }
        self.end_run()?;
        self.header(tag, hint.unwrap_or(0))
    }

    pub(super) fn variant(&mut self, tag: u8, name: &str) -> Result<(), Error> {
        self.outer(tag)?;
        self.sized(STR, name.as_bytes())
    }
}
