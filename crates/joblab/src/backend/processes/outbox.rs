//! What is still to be written to a worker process.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::remote::socket::{self, CHOKED};
use crate::os;
use crate::shared::{Attached, Attachments};

/// As many frames as are written at once.
const FRAMES: usize = 16;

/// A frame to be written, and the shared memory whose files go with it.
struct Outgoing {
    frame: Arc<Vec<u8>>,
    attachments: Attachments,
}

impl Outgoing {
    fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.attachments.iter().map(|attached| attached.segment.file())
    }
}

/// Frames on their way to a worker.
#[derive(Default)]
pub(super) struct Outbox {
    frames: VecDeque<Outgoing>,
    /// How much of the first frame is written.
    written: usize,
    /// Whether the system takes no more now, without a way to be told when it will.
    is_choked: bool,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether it can be written as soon as the socket has room.
    pub(super) fn waits_for_room(&self) -> bool {
        !self.frames.is_empty() && !self.is_choked
    }

    /// When to try to write again, where the socket does not tell.
    pub(super) fn tries_again_in(&self) -> Option<Duration> {
        self.is_choked.then_some(CHOKED)
    }

    /// Adds a frame.
    pub(super) fn send(&mut self, frame: Arc<Vec<u8>>) {
        self.frames.push_back(Outgoing { frame, attachments: Vec::new() });
    }

    /// Adds the files of shared memory that the next frame speaks of.
    pub(super) fn send_files(&mut self, attachments: &[Attached]) {
        for (frame, some) in socket::frames_of_files(attachments) {
            self.frames.push_back(Outgoing { frame: frame.into(), attachments: some.to_vec() });
        }
    }

    /// Writes as much as the socket takes now.
    pub(super) fn write(&mut self, socket: BorrowedFd<'_>) {
        self.is_choked = false;
        while !self.frames.is_empty() {
            let mut skip = self.written;
            // Files go with the first byte of what is written.
            let next_files =
                |(place, next): &(usize, &Outgoing)| *place == 0 || next.attachments.is_empty();
            let slices: Vec<IoSlice<'_>> = self
                .frames
                .iter()
                .take(FRAMES)
                .enumerate()
                .take_while(next_files)
                .map(|(_, next)| IoSlice::new(&next.frame[std::mem::take(&mut skip)..]))
                .collect();
            let files: Vec<BorrowedFd<'_>> = match self.frames.front() {
                Some(first) if self.written == 0 => first.files().collect(),
                _ => Vec::new(),
            };
            match os::send(socket, &slices, &files) {
                Ok(length) => self.written += length,
                Err(error) => {
                    self.is_choked = !files.is_empty() && error.kind() == ErrorKind::WouldBlock;
                    return;
                }
            }
            while let Some(first) = self.frames.front()
                && self.written >= first.frame.len()
            {
                self.written -= first.frame.len();
                self.frames.pop_front();
            }
        }
    }
}
