//! Numbers in memory that processes can share.

#[cfg(feature = "ndarray")]
mod array;
mod attachments;
mod lane;
mod slice;
mod words;

pub(crate) use self::attachments::{
    Attached, Attachments, Files, add_files, attached_from, collecting, with_attachments,
    with_files,
};
pub(crate) use self::lane::{Filled, Lane, Place, SLOT, Taken, Told};
pub use self::slice::{Part, SharedSlice, Whole};
pub(crate) use self::words::Words;
pub(crate) use crate::os::Segment;
