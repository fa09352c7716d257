//! Shared memory that travels with a message: how it is kept until the other process has it, and
//! found there.
//!
//! What writes a message collects the segments that are in it, and keeps them until the message is
//! answered. The other process finds them by process and descriptor, in `/proc` (proc(5)).

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::segment::Segment;

/// The segments of a message.
pub(crate) type Kept = Vec<Sent>;

/// A segment in a message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) segment: Arc<Segment>,
    /// The bytes of it that the other process may write to, so that a copy of them will not do.
    pub(crate) written: Option<Range<usize>>,
}

/// Files that were taken over from another process, by their descriptor there.
pub(crate) type Taken = Vec<(i32, OwnedFd)>;

// Arguments of `send` and `receive`, which serde's traits have no room for: set only as long as one
// call of `collecting` or `with_taken` in this thread lasts.
thread_local! {
    static SENT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    static TAKEN: RefCell<Incoming> = const { RefCell::new(Incoming::NONE) };
}

/// What is known of the message that is read.
struct Incoming {
    pid: u32,
    taken: Taken,
    /// What has been read of it that may be written to, by the descriptor there. None where no message
    /// is read.
    written: Option<Vec<(i32, Range<usize>)>>,
}

impl Incoming {
    const NONE: Incoming = Incoming { pid: 0, taken: Vec::new(), written: None };
}

/// What serde's traits can be asked to do by hand, and must not.
const TWICE: &str = "a part was written or read twice: two tasks would write to the same numbers";

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start.max(other.start) < one.end.min(other.end)
}

/// Calls `write`, and appends the segments that it sends to `kept`.
pub(crate) fn collecting<T>(kept: &mut Kept, write: impl FnOnce() -> T) -> T {
    let before = SENT.replace(Some(Vec::new()));
    let written = write();
    kept.extend(SENT.replace(before).unwrap_or_default());
    written
}

/// Writes a segment into the message that this thread writes: how to find it. `written` are the bytes
/// that the reader may write to. The error is one of use.
pub(crate) fn send(
    segment: &Arc<Segment>,
    written: Option<Range<usize>>,
) -> Result<(u32, i32), &'static str> {
    SENT.with_borrow_mut(|sent| {
        let sent = sent.as_mut().ok_or("shared memory travels only to workers")?;
        let is_again = |bytes: &Range<usize>| {
            sent.iter()
                .filter(|other| Arc::ptr_eq(&other.segment, segment))
                .any(|other| other.written.as_ref().is_some_and(|other| overlap(bytes, other)))
        };
        if written.as_ref().is_some_and(is_again) {
            return Err(TWICE);
        }
        sent.push(Sent { segment: Arc::clone(segment), written });
        Ok((std::process::id(), segment.descriptor()))
    })
}

/// Calls `read` for a message of the process `pid`, some of whose files were taken over.
pub(crate) fn with_taken<T>(pid: u32, taken: Taken, read: impl FnOnce() -> T) -> T {
    let before = TAKEN.replace(Incoming { pid, taken, written: Some(Vec::new()) });
    let read = read();
    TAKEN.set(before);
    read
}

/// Maps a segment of the message that this thread reads. `written` are the bytes that may be written
/// to.
pub(crate) fn receive(
    (pid, descriptor): (u32, i32),
    bytes: usize,
    written: Option<Range<usize>>,
) -> io::Result<Segment> {
    let taken = TAKEN.with_borrow_mut(|incoming| {
        if let (Some(range), Some(seen)) = (written, &mut incoming.written) {
            if seen.iter().any(|(of, other)| *of == descriptor && overlap(&range, other)) {
                return Err(io::Error::other(TWICE));
            }
            seen.push((descriptor, range));
        }
        let is_it = |(number, _): &&(i32, OwnedFd)| incoming.pid == pid && *number == descriptor;
        Ok(incoming.taken.iter().find(is_it).map(|(_, file)| file.try_clone()))
    });
    let file = taken?.unwrap_or_else(|| take(pid, descriptor))?;
    Segment::open(file, bytes)
}

/// Takes over a file of another process.
pub(crate) fn take(pid: u32, descriptor: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{descriptor}");
    Ok(File::options().read(true).write(true).open(path)?.into())
}
