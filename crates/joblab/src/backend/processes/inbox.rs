//! What the calling threads and the I/O thread share.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock};

use crate::backend::remote::packing::{PackedBatch, Packer};
use crate::os::lock;
use crate::shared::Lane;

/// What the calling threads and the I/O thread share.
pub(super) struct PoolShared {
    pub(super) inbox: Mutex<Inbox>,
    pub(super) packer: Mutex<Packer>,
    /// A byte in here wakes the I/O thread.
    pub(super) waker: UnixStream,
    /// For the parts of large arguments. Made for the first of them, and None where the system has no
    /// memory for it.
    pub(super) lane: OnceLock<Option<Arc<Lane>>>,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) batches: VecDeque<PackedBatch>,
    /// Whether the I/O thread has been woken since it looked.
    pub(super) is_woken: bool,
    /// Whether a call does not want its batches any more.
    pub(super) has_unwanted: bool,
    /// Whether the pool is being dropped, or the I/O thread has ended: nothing is taken in then.
    pub(super) closing: bool,
}

impl PoolShared {
    /// Changes the inbox and lets the I/O thread know.
    pub(super) fn send<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut inbox = lock(&self.inbox);
        let changed = change(&mut inbox);
        let is_woken = std::mem::replace(&mut inbox.is_woken, true);
        drop(inbox);
        if !is_woken {
            // It can only fail where so many bytes wait that the thread wakes anyway, or where it is
            // gone.
            let _ = (&self.waker).write(&[1]);
        }
        changed
    }
}
