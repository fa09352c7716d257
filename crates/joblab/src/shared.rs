//! Numbers in memory that processes can share.

#[cfg(feature = "ndarray")]
mod array;
mod attachments;
mod segment;
mod slice;

pub(crate) use self::attachments::{
    Attached, Attachments, TakenFiles, collecting, take_file, with_taken_files,
};
pub(crate) use self::segment::Segment;
pub use self::slice::{Part, SharedSlice, Whole};
