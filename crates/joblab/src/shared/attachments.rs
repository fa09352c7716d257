//! Shared memory that travels with a message: how it is kept until the other process has it, and
//! found there.
//!
//! What writes a message collects the segments that are in it, and keeps them until the message is
//! answered. Their files go along with it, each once, and the message has their places among those.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use crate::os::{Descriptor, Segment, process_wide};

/// The segments of a message, each once.
pub(crate) type Attachments = Vec<Attached>;

/// A segment in a message.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) segment: Arc<Segment>,
    /// The bytes of it that the other process may write to, so that a copy of them will not do.
    pub(crate) written: Vec<Range<usize>>,
}

/// The files that came with a message, but for those that could not be had.
pub(crate) type Files = Vec<Option<Descriptor>>;

/// Shared memory of a message that is being read.
enum Incoming {
    /// Nobody has asked for it yet.
    File(Descriptor),
    Mapped(Arc<Segment>),
    Missing,
}

/// What is known of the message that this thread writes, and of the one that it reads: arguments of
/// `attach` and `receive`, which serde's traits have no room for. Set only as long as one call of
/// `collecting`, `with_files` or `with_attachments` lasts.
struct Context {
    attached: Option<Attachments>,
    /// None where no message is read.
    incoming: Option<Vec<Incoming>>,
    /// What has been read of it that may be written to, by place.
    written: Vec<(usize, Range<usize>)>,
}

type WithContext = fn(&mut dyn FnMut(&mut Context));

process_wide! {
    /// Of all copies of this crate: a worker's message is read by the copy that started the worker,
    /// and the values in it by that of the cell that they belong to.
    static WITH_CONTEXT: WithContext = with_context_here; as "joblab_attachments"
}

fn with_context_here(use_it: &mut dyn FnMut(&mut Context)) {
    const NONE: Context = Context { attached: None, incoming: None, written: Vec::new() };
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
    let known = mem::take(attachments);
    let before = with_context(|context| context.attached.replace(known));
    let written = write();
    let attached = with_context(|context| mem::replace(&mut context.attached, before));
    *attachments = attached.unwrap_or_default();
    written
}

/// What has been attached to the message that this thread writes, from the place `first` on.
pub(crate) fn attached_from(first: usize) -> Attachments {
    with_context(|context| {
        let attached = context.attached.as_ref().and_then(|attached| attached.get(first..));
        attached.unwrap_or_default().to_vec()
    })
}

/// Attaches a segment to the message that this thread writes, and gives its place there. `written`
/// are the bytes that the reader may write to. The error is one of use.
pub(crate) fn attach(
    segment: &Arc<Segment>,
    written: Option<Range<usize>>,
) -> Result<usize, &'static str> {
    with_context(|context| {
        let attached = context.attached.as_mut().ok_or("shared memory travels only to workers")?;
        let is_it = |known: &Attached| Arc::ptr_eq(&known.segment, segment);
        let place = attached.iter().position(is_it).unwrap_or_else(|| {
            let segment = Arc::clone(segment);
            attached.push(Attached { segment, written: Vec::new() });
            attached.len() - 1
        });
        if let Some(bytes) = written {
            let before = &mut attached[place].written;
            if before.iter().any(|other| overlap(&bytes, other)) {
                return Err(TWICE);
            }
            before.push(bytes);
        }
        Ok(place)
    })
}

/// Calls `read` for a message that came with these files.
pub(crate) fn with_files<T>(files: Files, read: impl FnOnce() -> T) -> T {
    with_incoming(files.into_iter().map(incoming).collect(), read)
}

/// Calls `read` for a message that was written in this process, and never left it.
pub(crate) fn with_attachments<T>(attachments: &[Attached], read: impl FnOnce() -> T) -> T {
    let mapped = |attached: &Attached| Incoming::Mapped(Arc::clone(&attached.segment));
    with_incoming(attachments.iter().map(mapped).collect(), read)
}

/// Adds files that came with a part of the message that is being read.
pub(crate) fn add_files(files: Files) {
    with_context(|context| {
        context.incoming.get_or_insert_default().extend(files.into_iter().map(incoming));
    });
}

fn incoming(file: Option<Descriptor>) -> Incoming {
    file.map_or(Incoming::Missing, Incoming::File)
}

fn with_incoming<T>(incoming: Vec<Incoming>, read: impl FnOnce() -> T) -> T {
    let mut other = (Some(incoming), Vec::new());
    let mut exchange = || {
        with_context(|context| {
            mem::swap(&mut context.incoming, &mut other.0);
            mem::swap(&mut context.written, &mut other.1);
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
    place: usize,
    bytes: usize,
    written: Option<Range<usize>>,
) -> io::Result<Arc<Segment>> {
    with_context(|context| {
        let known = context.incoming.as_mut().and_then(|incoming| incoming.get_mut(place));
        let known = known.ok_or_else(|| io::Error::other("it was not handed over"))?;
        if let Some(range) = written {
            let is_again =
                |(of, other): &(usize, Range<usize>)| *of == place && overlap(&range, other);
            if context.written.iter().any(is_again) {
                return Err(io::Error::other(TWICE));
            }
            context.written.push((place, range));
        }
        let segment = match mem::replace(known, Incoming::Missing) {
            Incoming::File(file) => Arc::new(Segment::open(file, bytes)?),
            Incoming::Mapped(segment) => segment,
            Incoming::Missing => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
        };
        if segment.bytes() < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *known = Incoming::Mapped(Arc::clone(&segment));
        Ok(segment)
    })
}
