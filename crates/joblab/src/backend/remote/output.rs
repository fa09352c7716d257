//! What workers print: whole lines, on the same stream of this process.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::os;

/// A line that is longer is passed on in pieces: a task that prints without end must not fill
/// this process's memory.
const LONGEST: usize = 1 << 20;
const CHUNK: usize = 1 << 14;

/// One output stream of one worker.
pub(crate) struct Lines<P> {
    /// None when the worker has closed its end.
    pipe: Option<P>,
    partial: Vec<u8>,
    /// What is read at once. It is asked for after each answer, and so is not made anew.
    chunk: Box<[u8]>,
    target: Target,
}

#[derive(Clone, Copy)]
pub(crate) enum Target {
    Stdout,
    Stderr,
}

impl<P: Read + AsFd> Lines<P> {
    pub(crate) fn new(pipe: P, target: Target) -> io::Result<Self> {
        os::set_nonblocking(pipe.as_fd())?;
        Ok(Lines { pipe: Some(pipe), partial: Vec::new(), chunk: vec![0; CHUNK].into(), target })
    }

    /// The pipe, as long as the worker has its end open.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Passes on all whole lines that have come in.
    pub(crate) fn pass_on(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut self.chunk) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    self.partial.extend(&self.chunk[..length]);
                    let whole = self.partial.iter().rposition(|&byte| byte == b'\n');
                    if let Some(last) = whole {
                        let rest = self.partial.split_off(last + 1);
                        self.target.print(&std::mem::replace(&mut self.partial, rest));
                    } else if self.partial.len() > LONGEST {
                        self.end_line();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    /// Passes on what was printed up to now; if nothing more will come, also a line that was not
    /// ended, and ends it.
    pub(crate) fn catch_up(&mut self, is_all: bool) {
        self.pass_on();
        if is_all && !self.partial.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.partial.push(b'\n');
        self.target.print(&std::mem::take(&mut self.partial));
    }
}

impl Target {
    /// One write under the stream's lock, so that nobody else's line gets between. Where the
    /// stream is closed, what was printed is lost, as it would be for this process.
    fn print(self, lines: &[u8]) {
        let _ = match self {
            Target::Stdout => io::stdout().lock().write_all(&without_control_words(lines)),
            Target::Stderr => io::stderr().lock().write_all(lines),
        };
    }
}

/// evcxr's runtime talks to the kernel in lines on standard output that hold words like
/// `EVCXR_EXECUTION_COMPLETE`. A task must not be able to say them: they are made harmless by a
/// character of no width (U+2060).
fn without_control_words(lines: &[u8]) -> Vec<u8> {
    const WORD: &[u8] = b"EVCXR_";
    const HARMLESS: &[u8] = "EVCXR\u{2060}_".as_bytes();
    let mut harmless = Vec::with_capacity(lines.len());
    let mut rest = lines;
    while let Some(at) = rest.windows(WORD.len()).position(|window| window == WORD) {
        harmless.extend(&rest[..at]);
        harmless.extend(HARMLESS);
        rest = &rest[at + WORD.len()..];
    }
    harmless.extend(rest);
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_words_lose_their_power_and_nothing_else_changes() {
        let lines = b"a\nEVCXR_EXECUTION_COMPLETE\nxEVCXR_BEGIN_CONTENT text/html\nEVCXR\n";
        let shown = String::from_utf8(without_control_words(lines)).unwrap();
        assert!(!shown.contains("EVCXR_"), "{shown}");
        assert_eq!(shown.replace('\u{2060}', "").as_bytes(), lines);
    }
}
