//! Values as bytes: how arguments and results travel between processes.
//!
//! The format is our own, since whatever serde can tell apart must arrive as it was: none that is well kept
//! both says of what kind each value is, which untagged and flattened types need, and tells `Some(None)`
//! from `None`. It mirrors serde's data model, kind by kind: [`mod@format`] describes it. Only a value that is
//! a [list of numbers](whole_list) as a whole is carried as its bytes.
//!
//! What stands here is compiled for each type of value, and is short for that. What it calls is compiled
//! once.

mod deserializer;
mod error;
mod fields;
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
mod whole_list;
mod write_list;

use std::any::{Any, TypeId};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::panic_message;
use crate::shared::{self, Attachments};
use error::Error;
pub(crate) use fields::{Fields, reserve_length, write_length};
pub(crate) use parts::{PART, PartReader, Sink, WriteParts};
use scanner::Scanner;
use serializer::Writer;
use source::Source;

/// Writes a value. The error says why it cannot be carried.
pub(crate) fn append<T: Serialize + 'static>(value: &T, sink: &mut Sink<'_>) -> Result<(), String> {
    if whole_list::may_be::<T>()
        && let Some(written) = whole_list::write(value, sink)
    {
        return written;
    }
    with_writer(sink, &mut |writer| value.serialize(writer))
}

/// A value as bytes, and the shared memory that is in it.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) attachments: Attachments,
}

/// Writes a value into bytes of its own.
pub(crate) fn write<T: Serialize + 'static>(value: &T) -> Result<Written, String> {
    written_by(&mut |sink| append(value, sink))
}

/// What `write` writes.
pub(crate) fn written_by(
    write: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), String>,
) -> Result<Written, String> {
    let (mut bytes, mut attachments) = (Vec::new(), Vec::new());
    shared::collecting(&mut attachments, || write(&mut Sink::growing(&mut bytes)))?;
    Ok(Written { bytes, attachments })
}

/// Reads a value from bytes that [`append`] wrote.
pub(crate) fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, String> {
    read_all(Source::whole(bytes))
}

/// Does the same while the bytes come in.
pub(crate) fn read_from<T: DeserializeOwned + 'static>(
    reader: PartReader<'_>,
) -> Result<T, String> {
    read_all(Source::parts(reader))
}

fn read_all<T: DeserializeOwned + 'static>(source: Source<'_>) -> Result<T, String> {
    let mut place: Option<T> = None;
    let list = whole_list::may_be::<T>().then(TypeId::of::<T>);
    read_into(&mut place, source, list, &mut |place, scanner| {
        let value = T::deserialize(scanner)?;
        if let Some(place) = place.downcast_mut() {
            *place = Some(value);
        }
        Ok(())
    })?;
    match place {
        Some(value) => Ok(value),
        None => unreachable!("what was read is in its place"),
    }
}

fn with_writer(
    sink: &mut Sink<'_>,
    write: &mut dyn FnMut(&mut Writer<'_, '_>) -> Result<(), Error>,
) -> Result<(), String> {
    carried(&mut || write(&mut Writer::new(sink)))
}

/// Reads a value into its place, an `Option` of its type. `list` is that type where it may be a list of
/// numbers.
fn read_into<'de>(
    place: &mut dyn Any,
    source: Source<'de>,
    list: Option<TypeId>,
    read: &mut dyn FnMut(&mut dyn Any, &mut Scanner<'de>) -> Result<(), Error>,
) -> Result<(), String> {
    if list.is_some_and(whole_list::is_list) {
        return whole_list::read(place, source);
    }
    let mut scanner = Scanner::new(source);
    carried(&mut || {
        read(place, &mut scanner)?;
        scanner.finish()
    })
}

/// Reads or writes a value. The code that does is the user's, who wrote or derived it for the type:
/// if it panics, the value cannot be carried.
fn carried(work: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(payload) => Err(format!("it panicked: {}", panic_message(payload))),
    }
}
