//! The way to the bridge, and what the calling threads share with the one that listens to it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, Weak};

use crate::backend::remote::framing::Kind;
use crate::backend::remote::packing::Packer;
use crate::backend::remote::protocol;
use crate::batch::Completion;
use crate::os::{self, Interest};
use crate::shared::{Attached, Attachments, Segment};

/// Why shared memory does not come back.
pub(super) const SHARED: &str = "shared memory is that of one machine: on a cluster tasks can read a \
                      SharedSlice, but not write to one or return it";

/// What the calling threads and the one that listens to the bridge share.
pub(super) struct Shared {
    pub(super) packer: Mutex<Packer>,
    pub(super) writer: Mutex<BridgeWriter>,
    /// The batches that have no answer yet, by number, or why there will be no more answers.
    pub(super) waiting: Mutex<Result<Waiting, String>>,
    /// How many tasks the cluster runs at the same time.
    pub(super) threads: AtomicUsize,
}

/// With the shared memory that their messages speak of.
pub(super) type Waiting = HashMap<u64, (Completion, Attachments)>;

/// The way to the bridge.
pub(super) struct BridgeWriter {
    socket: UnixStream,
    pub(super) images_sent: usize,
    pub(super) is_state_sent: bool,
    next: u64,
    /// The shared memory that the cluster has copies of, by number, until its last owner here is gone.
    copied: HashMap<u64, Weak<Segment>>,
}

impl BridgeWriter {
    pub(super) fn new(socket: UnixStream, images_sent: usize) -> Self {
        BridgeWriter { socket, images_sent, is_state_sent: false, next: 0, copied: HashMap::new() }
    }

    /// A number that nothing else has.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Number, descriptor and size of a message's shared memory. The numbers are those under
    /// which the bridge knows it; it learns of what is gone.
    pub(super) fn number_memory(&mut self, attachments: &Attachments) -> Vec<[u64; 3]> {
        let is_gone = |_: &u64, segment: &mut Weak<Segment>| segment.strong_count() == 0;
        let gone: Vec<u64> = self.copied.extract_if(is_gone).map(|(number, _)| number).collect();
        if !gone.is_empty() {
            self.send(&protocol::list(Kind::Forget, &gone));
        }
        let mut memory = Vec::with_capacity(attachments.len());
        for Attached { segment, .. } in attachments.iter() {
            let is_it = |known: &Weak<Segment>| known.as_ptr() == Arc::as_ptr(segment);
            let known = self.copied.iter().find(|(_, known)| is_it(known));
            let number = known.map(|(number, _)| *number).unwrap_or_else(|| {
                let number = self.number();
                self.copied.insert(number, Arc::downgrade(segment));
                number
            });
            memory.push([number, segment.file().as_raw_fd() as u64, segment.bytes() as u64]);
        }
        memory
    }

    /// That the bridge has ended is found out by listening.
    pub(super) fn send(&mut self, frame: &[u8]) {
        let _ = write_all(&mut self.socket, frame);
    }

    /// Has the bridge end: the pool is being dropped.
    pub(super) fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

/// Writes all to a socket that does not block, since it is also read.
pub(super) fn write_all(socket: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                os::wait(&[(socket.as_fd(), Interest::ReadAndWrite)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
