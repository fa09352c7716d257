//! What workers print, on its way to the same stream of this process: the rules. Who writes it is in
//! [`printer`](super::printer).
//!
//! * In a program every byte comes out as it was written, in the order of its worker's stream, and
//!   nothing is added. Lines of different workers do not mix, unless one is longer than [`LONGEST`]
//!   or was left open by the last task that its worker had.
//! * In a notebook the kernel reads text, by lines, and finds evcxr's own words where a line begins.
//!   So each line is ended, what is no text is shown as U+FFFD, and control words have no power. A
//!   line of standard output that would not go through the pipe in one piece is cut, between words
//!   where it has any: evcxr may end a cell at any time, and could say so inside of what is written
//!   in two pieces. That is lost then, and the kernel waits for ever.
//! * One chunk of a stream is read at a time, and the next one once that is written. A task that
//!   prints without end waits for whoever reads our output, and takes neither memory nor time from
//!   the tasks beside it.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::printer::{Printer, Ticket};
use crate::notebook::facts::without_control_words;
use crate::os::{self, PIPE_BUF, Stream};

/// So much of a line is held back until its end has come.
const LONGEST: usize = 1 << 20;
const CHUNK: usize = 1 << 14;
/// How much is kept of what was printed last.
const LAST: usize = 1 << 10;

/// One output stream of one worker.
pub(crate) struct Lines<P> {
    /// None when the worker has closed its end.
    pipe: Option<P>,
    stream: Stream,
    is_notebook: bool,
    partial: Vec<u8>,
    /// What is read at once.
    chunk: Box<[u8]>,
    printer: Arc<Printer>,
    printed: Ticket,
    /// The end of what was printed last.
    last: Vec<u8>,
}

impl<P: Read + AsFd> Lines<P> {
    pub(crate) fn new(
        pipe: P,
        stream: Stream,
        is_notebook: bool,
        printer: &Arc<Printer>,
    ) -> std::io::Result<Self> {
        os::set_nonblocking(pipe.as_fd())?;
        Ok(Lines {
            pipe: Some(pipe),
            stream,
            is_notebook,
            partial: Vec::new(),
            chunk: vec![0; CHUNK].into(),
            printer: Arc::clone(printer),
            printed: Ticket::default(),
            last: Vec::new(),
        })
    }

    /// The pipe, where more of it should be read.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| self.is_written()).map(AsFd::as_fd)
    }

    /// Whether all that was passed on is written.
    pub(crate) fn is_written(&self) -> bool {
        self.printer.is_done(self.printed)
    }

    /// By when all that was passed on is written.
    pub(crate) fn printed(&self) -> Ticket {
        self.printed
    }

    /// The last line that was passed on.
    pub(crate) fn last_words(&self) -> String {
        let last = String::from_utf8_lossy(&self.last);
        let last = last.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it says nothing").to_owned()
    }

    /// Passes on what has come in, a chunk at most.
    pub(crate) fn pass_on(&mut self) {
        if self.is_written() {
            self.take(CHUNK);
        }
    }

    /// The pipe, whether or not more of it should be read now.
    pub(crate) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Passes on a line that was not ended: nothing more will come.
    pub(crate) fn end_line(&mut self) {
        self.print(self.partial.len());
    }

    /// Passes on what is in the pipe now; if nothing more will come, also a line that was not ended.
    pub(crate) fn catch_up(&mut self, is_all: bool) {
        // More may come in all the while.
        let mut there = self.pipe.as_ref().map_or(0, |pipe| os::bytes_to_read(pipe.as_fd()));
        while there > 0 {
            match self.take(there) {
                0 => break,
                length => there -= length,
            }
        }
        if is_all {
            self.end_line();
        }
    }

    /// Reads once, and passes on whole lines. Tells how much was read.
    fn take(&mut self, most: usize) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        let most = most.min(CHUNK);
        let length = loop {
            match pipe.read(&mut self.chunk[..most]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
                Ok(0) | Err(_) => {
                    self.pipe = None;
                    return 0;
                }
                Ok(length) => break length,
            }
        };
        let new = &self.chunk[..length];
        let last = new.iter().rposition(|&byte| byte == b'\n');
        let whole = last.map(|last| self.partial.len() + last + 1);
        self.partial.extend(new);
        if let Some(whole) = whole {
            self.print(whole);
        } else if self.partial.len() > LONGEST {
            let text = end_of_characters(&self.partial);
            self.print(if self.is_notebook { text } else { self.partial.len() });
        }
        length
    }

    fn print(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let rest = self.partial.split_off(length);
        let mut bytes = std::mem::replace(&mut self.partial, rest);
        self.last.clear();
        self.last.extend(&bytes[length.saturating_sub(LAST)..]);
        if self.is_notebook {
            bytes = in_a_notebook(&bytes, self.stream).into_bytes();
        }
        self.printed = self.printer.print(self.stream, bytes);
    }
}

/// How a notebook shows lines.
fn in_a_notebook(lines: &[u8], stream: Stream) -> String {
    let mut text = String::from_utf8_lossy(lines).into_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match stream {
        Stream::Stdout => {
            let text = without_control_words(&text);
            text.split_inclusive('\n').map(|line| cut(line, PIPE_BUF)).collect()
        }
        // evcxr says nothing there.
        Stream::Stderr => text,
    }
}

/// A line with its end, in lines that are no longer than `most` bytes.
fn cut(line: &str, most: usize) -> String {
    let (mut rest, mut shorter) = (line, String::with_capacity(line.len()));
    while rest.len() > most {
        let mut end = most - 1;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        // Numbers and words stay whole, unless the line would get much shorter.
        let word = rest[..end].rfind(' ').map(|space| space + 1);
        let end = word.filter(|&word| word > end / 2).unwrap_or(end);
        shorter += &rest[..end];
        shorter.push('\n');
        rest = &rest[end..];
    }
    shorter + rest
}

/// Where the last whole character ends: the rest of another one may still come.
fn end_of_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let first = bytes[tail..].iter().rposition(|&byte| byte >= 0b1100_0000);
    match first.map(|first| tail + first) {
        Some(first) if first + bytes[first].leading_ones() as usize > bytes.len() => first,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notebook_gets_lines_of_text_that_fit_into_a_pipe() {
        let shown = |bytes: &[u8]| in_a_notebook(bytes, Stream::Stdout);
        assert_eq!(shown(b"a line\nand one without end"), "a line\nand one without end\n");
        assert_eq!(shown(b"no\xfftext\xf0\x9f\n"), "no\u{fffd}text\u{fffd}\n");
        assert!(!shown(b"EVCXR_EXECUTION_COMPLETE\n").contains("EVCXR_"));
        assert_eq!(in_a_notebook(b"EVCXR_", Stream::Stderr), "EVCXR_\n");
        for before in 0..4 {
            let crabs = "x".repeat(before) + &"\u{1F980}".repeat(5000) + "\n";
            let shown = shown(crabs.as_bytes());
            assert!(shown.lines().all(|line| line.len() < PIPE_BUF));
            assert_eq!(shown.lines().collect::<String>(), crabs.trim_end());
        }
        let numbers: Vec<String> = (0..5000_u64).map(|n| (n * n).to_string()).collect();
        let cut = shown(numbers.join(" ").as_bytes());
        assert!(cut.lines().count() > 3);
        assert_eq!(cut.split_whitespace().collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn the_last_whole_character_is_found() {
        let text = "ab\u{e9}\u{20ac}\u{1F980}";
        for end in 0..=text.len() {
            let expected = (0..=end).rfind(|&end| text.is_char_boundary(end));
            assert_eq!(Some(end_of_characters(&text.as_bytes()[..end])), expected);
        }
        assert_eq!(end_of_characters(b"no text \xff"), 8);
        assert_eq!(end_of_characters(b"no text \x80\x80\x80\x80"), 12);
    }
}
