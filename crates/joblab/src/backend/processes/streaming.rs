//! The calling thread's way to send a large argument: in parts, through the I/O thread.

use std::io::ErrorKind;
use std::sync::mpsc::Sender;

use crate::backend::remote::framing::{self, Kind};
use crate::backend::remote::packing::Piece;
use crate::codec::WriteParts;
use crate::error::Error;

/// Writes the argument of a task, in parts, and the end; `wake` tells the I/O thread. Whatever goes
/// wrong is told by the task's answer.
pub(super) fn send(task: usize, write: WriteParts, pieces: Sender<Piece>, wake: &dyn Fn()) {
    // Where nobody takes a piece, the worker or the call is gone, and that has been told.
    let send_part = |part: &[u8]| {
        let sent = pieces.send(Piece::Frame(framing::frame(Kind::Part, part)));
        wake();
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    };
    let _ = pieces.send(match write(&mut { send_part }) {
        Ok(attachments) => Piece::Attachments(attachments),
        Err(reason) => Piece::Torn(Error::argument(task, reason)),
    });
    let _ = send_part(&[]);
    // The I/O thread looks for the end of the channel too.
    drop(pieces);
    wake();
}
