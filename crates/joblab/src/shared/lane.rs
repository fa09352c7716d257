//! A lane: shared memory in which the parts of large arguments go to worker processes, and those of large
//! results come back. Through a socket the system would copy each twice, into memory that it takes for it and
//! out of that.
//!
//! A lane has some slots, and a word for each. A slot is free, or somebody is filling it, or it is full: then the
//! word is a number that no other filling has. Who has read a slot sets it free; so does who filled it, where
//! nobody will read it.
#![allow(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::words::Words;
use crate::os::{Descriptor, Segment};

/// The size of a slot.
pub(crate) const SLOT: usize = 1 << 16;
/// Enough to fill some while another process is woken, and few enough to stay in a processor's cache.
const SLOTS: usize = 16;
/// The words have a page of their own.
const SLOTS_AT: usize = 1 << 12;
const BYTES: usize = SLOTS_AT + SLOTS * SLOT;

const FREE: u64 = 0;
const FILLING: u64 = 1;

/// Where something lies in a lane, as another process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: u64,
    /// The slot's word.
    pub(crate) filling: u64,
    pub(crate) length: u64,
}

/// One end of a lane.
pub(crate) struct Lane {
    words: Words,
    /// That of the next filling.
    next: AtomicU64,
}

impl Lane {
    pub(crate) fn new() -> io::Result<Lane> {
        let words = Words::zeroed(c"joblab-lane", BYTES / size_of::<u64>())?;
        Ok(Lane { words, next: AtomicU64::new(FILLING + 1) })
    }

    /// The lane that another process has made.
    pub(crate) fn open(file: Descriptor) -> io::Result<Lane> {
        let words = Words::open(file, BYTES / size_of::<u64>())?;
        Ok(Lane { words, next: AtomicU64::new(FILLING + 1) })
    }

    /// To be handed over to another process.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.words.segment()
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        &self.words[slot]
    }

    fn start(&self, slot: usize) -> *mut u8 {
        // SAFETY: the slot lies in the segment.
        unsafe { self.segment().start().as_ptr().add(SLOTS_AT + slot * SLOT) }
    }

    /// Copies bytes into a free slot. None where there is none, or there are more of them than a slot has.
    pub(crate) fn put(self: &Arc<Self>, bytes: &[u8]) -> Option<Filled> {
        let claim = |slot: &usize| {
            let word = self.word(*slot);
            let claimed =
                word.compare_exchange(FREE, FILLING, Ordering::Acquire, Ordering::Relaxed);
            claimed.is_ok()
        };
        if bytes.len() > SLOT {
            return None;
        }
        let slot = (0..SLOTS).find(claim)?;
        // SAFETY: a slot has room for as many bytes, as was just seen; it was claimed, and nobody else
        // touches it until its word says that it is full.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(self.start(slot), bytes.len()) };
        let filling = self.next.fetch_add(1, Ordering::Relaxed);
        self.word(slot).store(filling, Ordering::Release);
        let place = Place { slot: slot as u64, filling, length: bytes.len() as u64 };
        Some(Filled { lane: Arc::clone(self), place })
    }

    /// What lies in a slot. None where nothing does, or something else.
    pub(crate) fn take(self: &Arc<Self>, place: Place) -> Option<Taken> {
        let slot = usize::try_from(place.slot).ok().filter(|slot| *slot < SLOTS)?;
        let length = usize::try_from(place.length).ok().filter(|length| *length <= SLOT)?;
        let is_it =
            place.filling > FILLING && self.word(slot).load(Ordering::Acquire) == place.filling;
        is_it.then(|| Taken { lane: Arc::clone(self), slot, length })
    }
}

/// A slot as who filled it sees it. When it is dropped, the slot is free, though nobody has read it.
pub(crate) struct Filled {
    lane: Arc<Lane>,
    place: Place,
}

impl Filled {
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether nobody has read it yet.
    fn is_full(&self) -> bool {
        self.word().load(Ordering::Relaxed) == self.place.filling
    }

    fn word(&self) -> &AtomicU64 {
        self.lane.word(self.place.slot as usize)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // Where it was read, the slot may be another filling's.
        let word = self.word();
        let _ =
            word.compare_exchange(self.place.filling, FREE, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Places that another process was told of, and has perhaps not read.
#[derive(Default)]
pub(crate) struct Told(Vec<Filled>);

impl Told {
    /// Keeps another one, and those that were not read yet.
    pub(crate) fn push(&mut self, filled: Filled) {
        self.0.retain(Filled::is_full);
        self.0.push(filled);
    }
}

/// The bytes in a slot, which is free when they are dropped.
pub(crate) struct Taken {
    lane: Arc<Lane>,
    slot: usize,
    length: usize,
}

impl Deref for Taken {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the slot lies in the segment, which lives as long as the lane, and has that many bytes;
        // nobody writes to them before this is dropped.
        unsafe { slice::from_raw_parts(self.lane.start(self.slot), self.length) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.lane.word(self.slot).store(FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ends() -> [Arc<Lane>; 2] {
        let lane = Lane::new().unwrap();
        let file = lane.segment().file().try_clone_to_owned().unwrap();
        [lane, Lane::open(file).unwrap()].map(Arc::new)
    }

    #[test]
    fn what_is_put_in_at_one_end_is_taken_out_at_the_other() {
        let [ours, theirs] = both_ends();
        let filled: Vec<Filled> =
            (0..SLOTS).map(|n| ours.put(&vec![n as u8; SLOT - n]).unwrap()).collect();
        assert!(ours.put(&[1]).is_none(), "all slots are full");
        for (n, filled) in filled.iter().enumerate().rev() {
            let taken = theirs.take(filled.place()).unwrap();
            assert!(*taken == vec![n as u8; SLOT - n]);
            assert!(filled.is_full());
            drop(taken);
            assert!(!filled.is_full());
        }
        let again = ours.put(&[7; SLOT]).unwrap();
        // The slot is another filling's, which those that were read leave alone.
        let before = filled.iter().find(|it| it.place().slot == again.place().slot).unwrap();
        assert!(theirs.take(before.place()).is_none());
        drop(filled);
        assert_eq!(*theirs.take(again.place()).unwrap(), [7; SLOT]);
    }

    #[test]
    fn a_slot_that_nobody_will_read_is_free_again() {
        let [ours, theirs] = both_ends();
        for _ in 0..3 * SLOTS {
            let place = ours.put(&[1, 2]).unwrap().place();
            assert!(theirs.take(place).is_none());
        }
    }

    #[test]
    fn places_that_are_none_are_refused() {
        let [ours, theirs] = both_ends();
        let filled = ours.put(&[1, 2]).unwrap();
        let place = filled.place();
        for wrong in [
            Place { slot: SLOTS as u64, ..place },
            Place { slot: place.slot + 1, filling: FREE, ..place },
            Place { filling: place.filling + 1, ..place },
            Place { length: SLOT as u64 + 1, ..place },
        ] {
            assert!(theirs.take(wrong).is_none(), "{wrong:?}");
        }
        assert!(ours.put(&vec![0; SLOT + 1]).is_none());
        assert_eq!(*theirs.take(place).unwrap(), [1, 2]);
    }

    #[test]
    fn two_threads_never_fill_the_same_slot() {
        let [ours, theirs] = both_ends();
        let fill = |of: u8| {
            let mut done = 0;
            while done < 5000 {
                if let Some(filled) = ours.put(&[of; 64]) {
                    assert_eq!(*theirs.take(filled.place()).unwrap(), [of; 64]);
                    done += 1;
                }
            }
        };
        std::thread::scope(|scope| (0..3).for_each(|of| drop(scope.spawn(move || fill(of)))));
    }
}
