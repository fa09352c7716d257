//! The thread that writes what workers print. Nobody waits for it but those who want the output to
//! be out before they go on; a reader that is slow, or gone, stops nothing else.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::notebook::stdout_turn::in_turn;
use crate::os::{self, PIPE_BUF, Stream, lock};

/// How long a pool that is dropped waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes what a pool's workers print. The thread starts with the first of it.
pub(crate) struct Printer {
    shared: Arc<PrinterShared>,
    /// Something can be read here where something was done.
    news: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct PrinterShared {
    queue: Mutex<OutputQueue>,
    changed: Condvar,
    waker: UnixStream,
}

#[derive(Default)]
struct OutputQueue {
    items: VecDeque<Item>,
    /// How many items there were, and how many of them are done.
    pushed: u64,
    done: u64,
    is_closing: bool,
}

enum Item {
    Piece(Stream, Vec<u8>),
    Then(Box<dyn FnOnce() + Send>),
}

/// A place in the order of what is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Printer {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let (waker, news) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        news.set_nonblocking(true)?;
        let shared = PrinterShared { queue: Mutex::default(), changed: Condvar::new(), waker };
        Ok(Arc::new(Printer { shared: Arc::new(shared), news, thread: Mutex::new(None) }))
    }

    /// Has lines written, or bytes of any kind.
    pub(crate) fn print(&self, stream: Stream, bytes: Vec<u8>) -> Ticket {
        self.push(Item::Piece(stream, bytes))
    }

    /// Does something once all up to a place is written.
    pub(crate) fn after(&self, ticket: Ticket, then: impl FnOnce() + Send + 'static) {
        if self.is_done(ticket) {
            then();
        } else {
            self.push(Item::Then(Box::new(then)));
        }
    }

    pub(crate) fn is_done(&self, ticket: Ticket) -> bool {
        // Most workers print nothing.
        ticket.0 == 0 || lock(&self.shared.queue).done >= ticket.0
    }

    /// A file that can be read where something was done since [`take_news`](Self::take_news).
    pub(crate) fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    pub(crate) fn take_news(&self) {
        let _ = (&self.news).read(&mut [0; 64]);
    }

    fn push(&self, item: Item) -> Ticket {
        let ticket = {
            let mut queue = lock(&self.shared.queue);
            queue.items.push_back(item);
            queue.pushed += 1;
            Ticket(queue.pushed)
        };
        self.shared.changed.notify_all();
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let named = std::thread::Builder::new().name("joblab-print".to_owned());
            *thread = named.spawn(move || shared.work()).ok();
        }
        if thread.is_none() {
            // The system has no thread left: better to wait here than to lose what was printed.
            while self.shared.do_next() {}
        }
        ticket
    }
}

impl PrinterShared {
    fn work(&self) {
        os::block_write_signals();
        loop {
            while self.do_next() {}
            let mut queue = lock(&self.queue);
            while queue.items.is_empty() {
                if queue.is_closing {
                    return;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Does the first thing in the queue. False where there is none.
    fn do_next(&self) -> bool {
        let Some(item) = lock(&self.queue).items.pop_front() else {
            return false;
        };
        match item {
            Item::Piece(stream, bytes) => write(stream, &bytes),
            Item::Then(then) => then(),
        }
        lock(&self.queue).done += 1;
        self.changed.notify_all();
        // It can only fail where so many bytes wait that whoever waits for them wakes anyway.
        let _ = (&self.waker).write(&[1]);
        true
    }
}

impl Drop for Printer {
    /// Waits until all is written, as long as anybody takes it.
    fn drop(&mut self) {
        let Some(thread) = lock(&self.thread).take() else {
            return;
        };
        let mut queue = lock(&self.shared.queue);
        queue.is_closing = true;
        self.shared.changed.notify_all();
        while queue.done < queue.pushed {
            let done = queue.done;
            let waited =
                self.shared.changed.wait_timeout_while(queue, PATIENCE, |queue| queue.done == done);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.done == done {
                // The thread ends when its write does, or with the program.
                let lost = std::mem::take(&mut queue.items);
                drop(queue);
                drop(lost);
                return;
            }
        }
        drop(queue);
        // A panic in there has been printed.
        let _ = thread.join();
    }
}

/// Writes in pieces of whole lines that go through a pipe as one, so that nobody else's line gets
/// between. std's own lock of the stream is not taken: a caller may hold it while it waits for its
/// tasks. Where the stream is closed, or full, what was printed is lost, as it would be for this
/// process.
fn write(stream: Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let piece = piece(bytes);
        let _ = in_turn(|| os::write_to(stream, &bytes[..piece]));
        bytes = &bytes[piece..];
    }
}

/// As many whole lines as fit, or one that is too long.
fn piece(bytes: &[u8]) -> usize {
    if bytes.len() <= PIPE_BUF {
        return bytes.len();
    }
    let is_end = |&byte: &u8| byte == b'\n';
    let last = bytes[..PIPE_BUF].iter().rposition(is_end);
    last.or_else(|| bytes.iter().position(is_end)).map_or(bytes.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines() {
        assert_eq!(piece(b"short\nand open"), 14);
        let lines = "0123456\n".repeat(1000);
        assert_eq!(piece(lines.as_bytes()), PIPE_BUF);
        assert_eq!(piece(&lines.as_bytes()[1..]), PIPE_BUF - 1);
        let long = "x".repeat(10_000);
        assert_eq!(piece(format!("{long}\nand more\n").as_bytes()), 10_001);
        assert_eq!(piece(long.as_bytes()), 10_000);
    }

    #[test]
    fn what_comes_after_output_comes_after_it() {
        let printer = Printer::new().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let tell = |what: &'static str| {
            let sender = sender.clone();
            move || sender.send(what).unwrap()
        };
        printer.after(Ticket::default(), tell("nothing was printed"));
        assert_eq!(receiver.try_recv(), Ok("nothing was printed"));
        let ticket = printer.push(Item::Then(Box::new(tell("first"))));
        printer.after(ticket, tell("second"));
        assert_eq!([(); 2].map(|()| receiver.recv().unwrap()), ["first", "second"]);
        drop(printer);
        assert!(receiver.try_recv().is_err());
    }
}
