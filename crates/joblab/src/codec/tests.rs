//! Whatever serde can tell apart arrives as it was, and what is damaged is an error.

mod damage;
mod random;
mod types;

use std::fmt::Debug;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::{PART, PartBytes, PartReader, Sink};
use super::{DeserializeOwned, Form, read};

fn append<T: Serialize + 'static>(value: &T, sink: &mut Sink<'_>) -> Result<(), String> {
    Form::new().write(value, sink)
}

fn written<T: Serialize + 'static>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut Sink::growing(&mut bytes)).unwrap();
    bytes
}

fn read_in_parts<T: DeserializeOwned + 'static>(bytes: &[u8], size: usize) -> Result<T, String> {
    let mut parts = bytes.chunks(size).map(|part| PartBytes::Own(part.to_vec()));
    Form::new().read_from(PartReader::new(&mut || parts.next()))
}

/// A value arrives as it was, however it is written and read.
#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static>(value: T) {
    let bytes = written(&value);
    assert_eq!(read::<T>(&bytes).as_ref(), Ok(&value));
    let mut sent = Vec::new();
    let mut keep = |part: &[u8]| {
        assert!(part.len() <= PART);
        sent.extend_from_slice(part);
        Ok(())
    };
    let (mut part, mut last) = (Vec::new(), Ok(()));
    {
        let mut sink = Sink::sending(&mut part, &mut keep);
        append(&value, &mut sink).unwrap();
        if let Err(error) = std::io::Write::flush(&mut sink) {
            last = Err(error);
        }
    }
    last.unwrap();
    assert!(sent == bytes, "{value:?} was written in another way in parts");
    for size in [1, 2, 3, 7, 64, PART] {
        assert_eq!(read_in_parts::<T>(&bytes, size).as_ref(), Ok(&value), "parts of {size}");
    }
    for more in [[bytes.as_slice(), &[0]].concat(), [bytes.as_slice(), &bytes].concat()] {
        assert!(read::<T>(&more).is_err(), "{value:?} was read with bytes behind it");
        for size in [1, bytes.len(), PART] {
            assert!(read_in_parts::<T>(&more, size).is_err(), "{value:?} in parts of {size}");
        }
    }
    // What is no list as a whole, to be gone past, and cut.
    let bytes = written(&(value,));
    read::<IgnoredAny>(&bytes).unwrap();
    for size in [1, 5, PART] {
        read_in_parts::<IgnoredAny>(&bytes, size).unwrap();
    }
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
        assert!(read::<(T,)>(&bytes[..length]).is_err(), "{length} bytes were enough");
        assert!(read::<IgnoredAny>(&bytes[..length]).is_err(), "{length} bytes were enough");
        assert!(read_in_parts::<(T,)>(&bytes[..length], 3).is_err(), "{length} bytes were enough");
    }
}

/// What serde calls bytes.
#[derive(PartialEq, Debug, Clone, Default)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes, and not a list of numbers")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}
