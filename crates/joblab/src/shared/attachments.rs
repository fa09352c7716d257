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

use super::segment::Segment;
use crate::os::process_wide;

/// The segments of a message.
pub(crate) type Attachments = Vec<Attached>;

/// A segment in a message.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) segment: Arc<Segment>,
    /// The bytes of it that the other process may write to, so that a copy of them will not do.
    pub(crate) written: Option<Range<usize>>,
}

/// Files that were taken over from another process, by their descriptor there.
pub(crate) type TakenFiles = Vec<(i32, OwnedFd)>;

/// What is known of the message that this thread writes, and of the one that it reads: arguments of
/// `attach` and `receive`, which serde's traits have no room for. Set only as long as one call of
/// `collecting` or `with_taken_files` lasts.
struct Context {
    attached: Option<Attachments>,
    pid: u32,
    taken: TakenFiles,
    /// What has been read of it that may be written to, by the descriptor there. None where no message
    /// is read.
    written: Option<Vec<(i32, Range<usize>)>>,
}

type WithContext = fn(&mut dyn FnMut(&mut Context));

process_wide! {
    /// Of all copies of this crate: a worker's message is read by the copy that started the worker,
    /// and the values in it by that of the cell that they belong to.
    static WITH_CONTEXT: WithContext = with_context_here; as "joblab_attachments"
}

fn with_context_here(use_it: &mut dyn FnMut(&mut Context)) {
    const NONE: Context = Context { attached: None, pid: 0, taken: Vec::new(), written: None };
    thread_local!(static CONTEXT: RefCell<Context> = const { RefCell::new(NONE) });
    CONTEXT.with_borrow_mut(use_it);
}

fn with_context<T>(use_it: impl FnOnce(&mut Context) -> T) -> T {
    let (mut use_it, mut value) = (Some(use_it), None);
    WITH_CONTEXT.get()(&mut |context| value = use_it.take().map(|use_it| use_it(context)));
    value.expect("it calls what it gets")
}

/// What serde's traits can be asked to do by hand, and must not.
const TWICE: &str = "a part was written or read twice: two tasks would write to the same numbers";

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start.max(other.start) < one.end.min(other.end)
}

/// Calls `write`, and appends the segments that it attaches to `attachments`.
pub(crate) fn collecting<T>(attachments: &mut Attachments, write: impl FnOnce() -> T) -> T {
    let before = with_context(|context| context.attached.replace(Vec::new()));
    let written = write();
    let attached = with_context(|context| std::mem::replace(&mut context.attached, before));
    attachments.extend(attached.unwrap_or_default());
    written
}

/// Attaches a segment to the message that this thread writes, and tells how it is found. `written`
/// are the bytes that the reader may write to. The error is one of use.
pub(crate) fn attach(
    segment: &Arc<Segment>,
    written: Option<Range<usize>>,
) -> Result<(u32, i32), &'static str> {
    with_context(|context| {
        let attached = context.attached.as_mut().ok_or("shared memory travels only to workers")?;
        let is_again = |bytes: &Range<usize>| {
            attached
                .iter()
                .filter(|other| Arc::ptr_eq(&other.segment, segment))
                .any(|other| other.written.as_ref().is_some_and(|other| overlap(bytes, other)))
        };
        if written.as_ref().is_some_and(is_again) {
            return Err(TWICE);
        }
        attached.push(Attached { segment: Arc::clone(segment), written });
        Ok((std::process::id(), segment.descriptor()))
    })
}

/// Calls `read` for a message of the process `pid`, some of whose files were taken over.
pub(crate) fn with_taken_files<T>(pid: u32, taken: TakenFiles, read: impl FnOnce() -> T) -> T {
    let mut incoming = (pid, taken, Some(Vec::new()));
    let mut exchange = || {
        with_context(|context| {
            let Context { pid, taken, written, .. } = context;
            std::mem::swap(pid, &mut incoming.0);
            std::mem::swap(taken, &mut incoming.1);
            std::mem::swap(written, &mut incoming.2);
        });
    };
    exchange();
    let read = read();
    exchange();
    read
}

/// Maps a segment of the message that this thread reads. `written` are the bytes that may be written
/// to.
pub(crate) fn receive(
    (pid, descriptor): (u32, i32),
    bytes: usize,
    written: Option<Range<usize>>,
) -> io::Result<Segment> {
    let taken = with_context(|context| {
        if let (Some(range), Some(seen)) = (written, &mut context.written) {
            if seen.iter().any(|(of, other)| *of == descriptor && overlap(&range, other)) {
                return Err(io::Error::other(TWICE));
            }
            seen.push((descriptor, range));
        }
        let is_it = |(number, _): &&(i32, OwnedFd)| context.pid == pid && *number == descriptor;
        Ok(context.taken.iter().find(is_it).map(|(_, file)| file.try_clone()))
    });
    let file = taken?.unwrap_or_else(|| take_file(pid, descriptor))?;
    Segment::open(file, bytes)
}

/// Takes over a file of another process.
pub(crate) fn take_file(pid: u32, descriptor: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{descriptor}");
    Ok(File::options().read(true).write(true).open(path)?.into())
}
