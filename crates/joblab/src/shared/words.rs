//! Numbers in shared memory that one process writes while another one may read them.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::os::{Descriptor, Segment};

/// Numbers that are only ever read and written as a whole. The segment belongs to nothing else.
pub(crate) struct Words(Arc<Segment>);

impl Words {
    /// Zeros, which take memory as they are written to.
    pub(crate) fn zeroed(name: &CStr, words: usize) -> io::Result<Words> {
        Segment::called(name, words * size_of::<AtomicU64>()).map(Arc::new).map(Words)
    }

    /// Those that another process has made.
    pub(crate) fn open(file: Descriptor, words: usize) -> io::Result<Words> {
        Segment::open(file, words * size_of::<AtomicU64>()).map(Arc::new).map(Words)
    }

    /// To be handed over to another process.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.0
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        let start = self.0.start().cast::<AtomicU64>().as_ptr();
        // SAFETY: the segment is mapped as long as this lives, starts at a page, and all who have it,
        // here and elsewhere, see it as atomic numbers.
        unsafe { std::slice::from_raw_parts(start, self.0.bytes() / size_of::<AtomicU64>()) }
    }
}
