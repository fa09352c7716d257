//! Values as bytes: how arguments and results travel between processes.
//!
//! The format is our own, since whatever serde can tell apart must arrive as it was: none that is well kept
//! both says of what kind each value is, which untagged and flattened types need, and tells `Some(None)`
//! from `None`. It mirrors serde's data model, kind by kind: [`mod@format`] describes it. Only a value that is
//! a number or a [list of numbers](whole_list) as a whole is carried as its bytes.
//!
//! What stands here is compiled for each type of value, and is short for that. What it calls is compiled
//! once.

mod access;
mod deserializer;
mod error;
mod fields;
mod form;
mod format;
mod ids;
mod number_run;
mod parts;
mod read_list;
mod scanner;
mod serializer;
mod source;
mod stack;
#[cfg(test)]
mod tests;
mod token;
mod whole_list;
mod write_list;
mod writer;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::shared::{self, Attachments};
pub(crate) use fields::{Fields, reserve_length, write_length};
pub(crate) use form::Form;
pub(crate) use parts::{PART, PartBytes, PartReader, Sink, WriteParts};

/// A value as bytes, and the shared memory that is in it.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) attachments: Attachments,
}

/// Writes a value into bytes of its own.
pub(crate) fn write<T: Serialize + 'static>(value: &T) -> Result<Written, String> {
    written_by(&mut |sink| Form::new().write(value, sink))
}

/// What `write` writes.
pub(crate) fn written_by(
    write: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), String>,
) -> Result<Written, String> {
    let (mut bytes, mut attachments) = (Vec::new(), Vec::new());
    shared::collecting(&mut attachments, || write(&mut Sink::growing(&mut bytes)))?;
    Ok(Written { bytes, attachments })
}

/// Reads a value from bytes that [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, String> {
    Form::new().read(bytes)
}
