//! Values as bytes: how arguments and results travel between processes.
//!
//! MessagePack, with the names of fields: it says of what kind each value is, so that it carries
//! whatever serde does, untagged and flattened types included, and it builds in half the time of
//! formats that bring serde's derive macros, which every notebook would wait for. Only a value that is
//! a [list of numbers](numbers) as a whole is carried as its bytes.

mod fields;
mod numbers;
mod parts;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::fields::{Fields, reserve_length, write_length};
pub(crate) use self::parts::{PART, PartReader, Sink, WriteParts};
use crate::error::panic_message;
use crate::shared::{self, Attachments};

/// Writes a value. The error says why serde refuses it.
pub(crate) fn append<T: Serialize + 'static>(value: &T, sink: &mut Sink<'_>) -> Result<(), String> {
    if let Some(written) = numbers::write(value, sink) {
        return written.map_err(|error| error.to_string());
    }
    let mut serializer =
        rmp_serde::Serializer::new(sink).with_struct_map().with_bytes(BytesMode::ForceAll);
    value.serialize(&mut serializer).map_err(|error| error.to_string())
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
    shared::collecting(&mut attachments, || {
        carried(&mut || write(&mut Sink::growing(&mut bytes)))
    })?;
    Ok(Written { bytes, attachments })
}

/// Reads a value from bytes that [`append`] wrote.
pub(crate) fn read<T: DeserializeOwned + 'static>(mut bytes: &[u8]) -> Result<T, String> {
    if let Some(list) = numbers::read(&mut bytes) {
        return list.map_err(|error| error.to_string());
    }
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

/// Does the same while the bytes come in.
pub(crate) fn read_from<T: DeserializeOwned + 'static>(
    mut reader: PartReader<'_>,
) -> Result<T, String> {
    if let Some(list) = numbers::read(&mut reader) {
        return list.map_err(|error| error.to_string());
    }
    rmp_serde::from_read(reader).map_err(|error| error.to_string())
}

/// Reads or writes a value. The code that does is the user's, who wrote or derived it for the type:
/// if it panics, the value cannot be carried.
pub(crate) fn carried(work: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|payload| Err(panicked(&panic_message(payload))))
}

/// Why a value cannot be carried whose code has panicked with this message.
pub(crate) fn panicked(message: &str) -> String {
    format!("it panicked: {message}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::{Deserialize, Serializer};

    use super::*;

    #[track_caller]
    fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static>(value: T) {
        let mut bytes = b"in front".to_vec();
        append(&value, &mut Sink::growing(&mut bytes)).unwrap();
        assert_eq!(read::<T>(&bytes[8..]), Ok(value));
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Words(Vec<String>),
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        maybe: Option<u8>,
        result: Result<Option<char>, String>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Inner {
        x: f32,
        y: (),
    }

    #[test]
    fn whatever_serde_carries_survives() {
        survives(());
        survives(u64::MAX);
        survives(i128::MIN);
        survives(f64::NEG_INFINITY);
        survives(vec![0_u8, 127, 128, 255]);
        survives((1_u8, [2_u8; 4], -3_i8, [0_u16; 3]));
        survives(Some(Some(vec![1.5_f64; 3])));
        survives("\u{1f980} and \0".to_owned());
        survives(BTreeMap::from([((1, 'a'), vec![true]), ((2, 'b'), vec![])]));
        survives(Untagged::Number(-1));
        survives(Untagged::Words(vec!["a".to_owned()]));
        survives(Err::<u8, String>("no".to_owned()));
        survives(Outer { inner: Inner { x: 0.5, y: () }, maybe: None, result: Ok(Some('x')) });
    }

    #[test]
    fn what_serde_refuses_is_an_error() {
        #[derive(Debug)]
        struct Refused;
        impl Serialize for Refused {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("not me"))
            }
        }
        let error = append(&Refused, &mut Sink::growing(&mut Vec::new())).unwrap_err();
        assert!(error.contains("not me"), "{error}");
        assert!(read::<u64>(&[]).is_err());
        assert!(read::<String>(&[0xff, 0xff]).is_err());
    }
}
