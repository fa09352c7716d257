//! [`SharedSlice`]: numbers that all workers read without a copy, and [`Part`]: numbers that each
//! writes its own share of.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use bytemuck::Pod;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::attachments;
use crate::error::Error;
use crate::os::Segment;

/// Numbers that tasks on any backend read without a copy of their own.
///
/// It is a slice in memory that processes can share. Clones are the same memory, and so is what a
/// worker process gets when one travels as an argument, or in one; a task may also return one. The
/// memory is gone with its last owner, in whatever way that ends.
///
/// `T` is any plain number or a struct of such, by `bytemuck::Pod`.
///
/// ```
/// # use joblab::{Backend, Parallel, SharedSlice};
/// let data = SharedSlice::from_vec(vec![0.5_f64; 1_000_000])?;
/// let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
/// let inputs = (0..4).map(|part| (part, data.clone()));
/// let sum = |(part, data): (usize, SharedSlice<f64>)| {
///     data.chunks(250_000).nth(part).unwrap_or_default().iter().sum::<f64>()
/// };
/// assert_eq!(parallel.map(sum, inputs)?.results, [125_000.0; 4]);
/// # Ok::<(), joblab::Error>(())
/// ```
pub struct SharedSlice<T>(Place<T>);

/// A share of a [`SharedSlice`] that is being written: nobody else has it.
///
/// ```
/// # use joblab::{Backend, Parallel, Part, SharedSlice};
/// let fill = |mut part: Part<u64>| {
///     let first = part.start() as u64;
///     for (n, number) in part.iter_mut().enumerate() {
///         *number = (first + n as u64).pow(2);
///     }
/// };
/// let (parts, whole) = SharedSlice::parts(1000, 4)?;
/// let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
/// parallel.map(fill, parts)?;
/// let squares = whole.join()?;
/// assert_eq!(squares[999], 998_001);
/// # Ok::<(), joblab::Error>(())
/// ```
///
/// It cannot be cloned, and who hands it to a task has it no longer: no two tasks have the same one.
///
/// ```compile_fail,E0382
/// # use joblab::{Part, SharedSlice, delayed};
/// let (mut parts, whole) = SharedSlice::<u64>::parts(1000, 4)?;
/// let length = |part: Part<u64>| part.len();
/// let part = parts.remove(0);
/// let tasks = [delayed(length, part), delayed(length, part)];
/// # Ok::<(), joblab::Error>(())
/// ```
///
/// Nor can a list of such tasks be lent, for then it could be run twice at once.
///
/// ```compile_fail,E0277
/// # use joblab::{Parallel, Part, SharedSlice, delayed};
/// let (mut parts, whole) = SharedSlice::<u64>::parts(1000, 4)?;
/// let length = |part: Part<u64>| part.len();
/// let tasks = [delayed(length, parts.remove(0))];
/// Parallel::new(2).run(&tasks)?;
/// # Ok::<(), joblab::Error>(())
/// ```
pub struct Part<T>(Place<T>);

/// The numbers whose [`Part`]s are out; [`join`](Whole::join) takes them back.
pub struct Whole<T>(Place<T>);

/// Some numbers of a segment.
struct Place<T> {
    segment: Arc<Segment>,
    /// In numbers, not bytes.
    range: Range<usize>,
    numbers: PhantomData<T>,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Place {
            segment: Arc::clone(&self.segment),
            range: self.range.clone(),
            numbers: PhantomData,
        }
    }
}

impl<T: Pod> Place<T> {
    fn zeroed(numbers: usize) -> Result<Self, Error> {
        let bytes = numbers.checked_mul(size_of::<T>());
        let segment = bytes
            .ok_or_else(|| io::Error::other("that is more than any memory"))
            .and_then(Segment::zeroed)
            .map_err(|reason| Error::memory(numbers, reason))?;
        Ok(Place { segment: Arc::new(segment), range: 0..numbers, numbers: PhantomData })
    }

    fn pointer(&self) -> *mut T {
        // SAFETY: the range lies in the segment.
        unsafe { self.segment.start().cast::<T>().as_ptr().add(self.range.start) }
    }

    /// # Safety
    /// Nobody may write to these numbers as long as the reference lives.
    unsafe fn numbers(&self) -> &[T] {
        // SAFETY: the segment starts at a page, so that the numbers are aligned; any bytes are a
        // `Pod`; the caller's promise for the rest.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.range.len()) }
    }

    /// Where the numbers lie in the segment, in bytes.
    fn bytes(range: &Range<usize>) -> Range<usize> {
        range.start * size_of::<T>()..range.end * size_of::<T>()
    }

    /// `is_written`: whether the reader may write to the numbers.
    fn write<S: Serializer>(&self, serializer: S, is_written: bool) -> Result<S::Ok, S::Error> {
        let written = is_written.then(|| Self::bytes(&self.range));
        let place = attachments::attach(&self.segment, written).map_err(S::Error::custom)?;
        let Range { start, end } = self.range;
        (place, self.segment.bytes(), start, end).serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        is_written: bool,
    ) -> Result<Self, D::Error> {
        let (place, bytes, start, end): (usize, usize, usize, usize) =
            Deserialize::deserialize(deserializer)?;
        if start > end || end > bytes / size_of::<T>().max(1) {
            return Err(D::Error::custom("its range is not in its shared memory"));
        }
        let range = start..end;
        let written = is_written.then(|| Self::bytes(&range));
        let segment = attachments::receive(place, bytes, written)
            .map_err(|error| D::Error::custom(format!("no shared memory for it: {error}")))?;
        Ok(Place { segment, range, numbers: PhantomData })
    }
}

impl<T: Pod> SharedSlice<T> {
    /// Copies the numbers into shared memory, once.
    ///
    /// # Errors
    /// Where the system has no memory or no file descriptor for it.
    pub fn from_vec(numbers: Vec<T>) -> Result<Self, Error> {
        SharedSlice::fill(numbers.len(), |slice| slice.copy_from_slice(&numbers))
    }

    /// Calls `fill` to write `length` numbers in place; they are zero before.
    ///
    /// # Errors
    /// As [`from_vec`](Self::from_vec).
    pub fn fill(length: usize, fill: impl FnOnce(&mut [T])) -> Result<Self, Error> {
        let mut part = Part(Place::zeroed(length)?);
        fill(&mut part);
        Ok(SharedSlice(part.0))
    }

    /// `length` zeros, cut into `parts` parts of the same length, but for the last ones.
    ///
    /// # Errors
    /// As [`from_vec`](Self::from_vec).
    pub fn parts(length: usize, parts: usize) -> Result<(Vec<Part<T>>, Whole<T>), Error> {
        let whole: Place<T> = Place::zeroed(length)?;
        let each = length.div_ceil(parts.max(1));
        let cut = |nth: usize| (nth * each).min(length)..((nth + 1) * each).min(length);
        let parts = (0..parts).map(|nth| {
            let range = cut(nth);
            Part(Place { range, ..whole.clone() })
        });
        Ok((parts.collect(), Whole(whole.clone())))
    }
}

impl<T: Pod> Whole<T> {
    /// The numbers, when all parts are gone.
    ///
    /// # Errors
    /// Where a part is still there.
    pub fn join(self) -> Result<SharedSlice<T>, Error> {
        match Arc::strong_count(&self.0.segment) {
            1 => Ok(SharedSlice(self.0)),
            parts => Err(Error::parts(parts - 1)),
        }
    }
}

impl<T: Pod> Part<T> {
    /// The place of the part's first number in the whole.
    pub fn start(&self) -> usize {
        self.0.range.start
    }
}

impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        SharedSlice(self.0.clone())
    }
}

impl<T: Pod> Deref for SharedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: what wrote the numbers is gone: `fill` has returned, or `join` has seen it.
        unsafe { self.0.numbers() }
    }
}

impl<T: Pod> Deref for Part<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: nobody else has this part, and it is borrowed.
        unsafe { self.0.numbers() }
    }
}

impl<T: Pod> DerefMut for Part<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `Place::numbers`; nobody else has this part, and it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.pointer(), self.0.range.len()) }
    }
}

impl<T: Pod> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer, false)
    }
}

impl<'de, T: Pod> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Place::read(deserializer, false).map(SharedSlice)
    }
}

impl<T: Pod> Serialize for Part<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer, true)
    }
}

impl<'de, T: Pod> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Place::read(deserializer, true).map(Part)
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.. {:?}", self.start(), &**self)
    }
}

impl<T> fmt::Debug for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whole({} numbers)", self.0.range.len())
    }
}
