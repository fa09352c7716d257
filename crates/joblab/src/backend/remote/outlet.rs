//! The calling thread's way to send a large argument: in parts, through the I/O thread.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender};

use super::wire::{self, Kind};
use crate::codec::parts::WriteParts;
use crate::error::Error;
use crate::travel::Kept;

/// What follows a batch's first frame.
pub(super) enum Piece {
    /// A part of the argument, as a frame.
    Frame(Vec<u8>),
    /// The shared memory in it.
    Kept(Kept),
    /// Why it ends too early.
    Torn(Error),
}

pub(super) type Pieces = Receiver<Piece>;

/// Writes the argument of a task, in parts, and the end; `wake` tells the I/O thread. Whatever goes
/// wrong is told by the task's answer.
pub(super) fn send(task: usize, write: WriteParts, pieces: Sender<Piece>, wake: &dyn Fn()) {
    // Where nobody takes a piece, the worker or the call is gone, and that has been told.
    let send_part = |part: &[u8]| {
        let sent = pieces.send(Piece::Frame(wire::frame(Kind::Part, part)));
        wake();
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    };
    let _ = pieces.send(match write(&mut { send_part }) {
        Ok(kept) => Piece::Kept(kept),
        Err(reason) => Piece::Torn(Error::argument(task, reason)),
    });
    let _ = send_part(&[]);
    // The I/O thread looks for the end of the channel too.
    drop(pieces);
    wake();
}
