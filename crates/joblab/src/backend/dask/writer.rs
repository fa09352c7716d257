//! The way to the bridge, and what the calling threads share with the one that listens to it.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::ChildStdin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, Weak};

use crate::backend::remote::framing::Kind;
use crate::backend::remote::packing::Packer;
use crate::backend::remote::protocol;
use crate::batch::Completion;
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
    /// None when the pool is being dropped, so that the bridge ends.
    pub(super) stdin: Option<ChildStdin>,
    pub(super) images_sent: usize,
    pub(super) is_state_sent: bool,
    next: u64,
    /// The shared memory that the cluster has copies of, by number, until its last owner here is gone.
    copied: HashMap<u64, Weak<Segment>>,
}

impl BridgeWriter {
    pub(super) fn new(stdin: ChildStdin, images_sent: usize) -> Self {
        BridgeWriter {
            stdin: Some(stdin),
            images_sent,
            is_state_sent: false,
            next: 0,
            copied: HashMap::new(),
        }
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
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(frame);
        }
    }
}
