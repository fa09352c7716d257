//! The arguments of a batch as bytes, as its caller writes them: see [`encoding`](super::encoding).

use std::io;

use super::runner::Rules;
use crate::codec::{Fields, Form, Sink};
use crate::task::Data;

/// Writes arguments, each behind its length.
pub(crate) struct ArgumentWriter<'a> {
    sink: Sink<'a>,
    has_lengths: bool,
    written: usize,
}

impl<'a> ArgumentWriter<'a> {
    pub(crate) fn new(sink: Sink<'a>) -> Self {
        ArgumentWriter { sink, has_lengths: true, written: 0 }
    }

    /// For one argument that is sent in parts.
    pub(crate) fn without_length(sink: Sink<'a>) -> Self {
        ArgumentWriter { has_lengths: false, ..ArgumentWriter::new(sink) }
    }

    /// Appends arguments. The error says why one cannot be carried.
    pub(crate) fn write<A: Data>(&mut self, arguments: &[A]) -> Result<(), String> {
        let form = Form::new();
        if let Some(bytes) = form.numbers(arguments) {
            return self.write_numbers(bytes, size_of::<A>());
        }
        for argument in arguments {
            let start = self.begin();
            form.write(argument, &mut self.sink)?;
            self.end(start);
        }
        Ok(())
    }

    fn write_numbers(&mut self, bytes: &[u8], width: usize) -> Result<(), String> {
        for number in bytes.chunks_exact(width) {
            let start = self.begin();
            self.sink.put(number)?;
            self.end(start);
        }
        Ok(())
    }

    fn begin(&mut self) -> Option<usize> {
        self.has_lengths.then(|| self.sink.reserve_length())
    }

    fn end(&mut self, start: Option<usize>) {
        if let Some(start) = start {
            self.sink.write_length(start);
        }
        self.written += 1;
    }

    /// How many arguments are written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Whether there was no room for all.
    pub(crate) fn is_full(&self) -> bool {
        self.sink.is_full
    }

    /// Sends what is left, and an empty part.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.sink.end()
    }
}

/// A written batch without its first tasks. None where it has no others that could be sent again:
/// what follows in parts is not kept.
pub(crate) fn without_first(batch: &[u8], tasks: usize) -> Option<Vec<u8>> {
    let mut arguments = Fields(batch);
    let rules = Rules::read(&mut arguments)?;
    for _ in 0..tasks {
        arguments.sized()?;
    }
    if arguments.0.is_empty() || arguments.0.starts_with(&[0; 8]) {
        return None;
    }
    let mut rest = Vec::with_capacity(batch.len() - tasks);
    rules.write(&mut rest);
    rest.extend(arguments.0);
    Some(rest)
}
