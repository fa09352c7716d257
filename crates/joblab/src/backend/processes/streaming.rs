//! The calling thread's way to send a large argument: in parts, through the I/O thread.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::backend::remote::framing::{self, Kind};
use crate::backend::remote::packing::Piece;
use crate::codec::WriteParts;
use crate::error::Error;
use crate::os;
use crate::shared::{self, Lane};

/// Writes the argument of a task, in parts; `wake` tells the I/O thread. Parts lie in the lane, or, where that
/// is full and does not get empty in a moment, in frames of their own. Whatever goes wrong is told by the task's
/// answer.
pub(super) fn send(
    task: usize,
    write: WriteParts,
    pieces: Sender<Piece>,
    lane: Option<&Arc<Lane>>,
    wake: &dyn Fn(),
) {
    let mut attached = 0;
    // Where nobody takes a piece, the worker or the call is gone, and that has been told.
    let mut send_part = |part: &[u8]| {
        // What the part speaks of is there before it.
        let more = shared::attached_from(attached);
        if !more.is_empty() {
            attached += more.len();
            let _ = pieces.send(Piece::Attachments(more));
        }
        let lane = lane.filter(|_| !part.is_empty());
        let filled = lane.and_then(|lane| os::spin(|| lane.put(part)));
        let frame = || Piece::Frame(framing::frame(Kind::Part, part));
        let sent = pieces.send(filled.map_or_else(frame, Piece::Slot));
        wake();
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    };
    if let Err(reason) = write(&mut send_part) {
        let _ = pieces.send(Piece::Torn(Error::argument(task, reason)));
        let _ = pieces.send(Piece::Frame(framing::frame(Kind::Part, &[])));
    }
    // The I/O thread looks for the end of the channel too.
    drop(pieces);
    wake();
}
