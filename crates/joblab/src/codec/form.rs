#![allow(unsafe_code)]
//! How values of a type are written. What is asked of a type is asked once, and not for each value: short
//! tasks take and give little but numbers.

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::parts::{PartReader, Sink};
use super::scanner::Scanner;
use super::source::Source;
use super::whole_list;
use super::writer::Writer;
use crate::error::panic_message;

/// How values of the type `T` are written.
pub(crate) struct Form<T> {
    kind: Kind,
    of: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number: its bytes, as they lie in memory, little-endian.
    Number,
    /// A [list of numbers](whole_list).
    List,
    /// Whatever serde makes of it, in the [format](super::format).
    Value,
}

impl<T> Clone for Form<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Form<T> {}

/// Does something for each type of number: `$number` stands for it.
macro_rules! for_each_number {
    ($number:ident => $work:expr) => {
        for_each_number!($number => $work;
            u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
    };
    ($number:ident => $work:expr; $($type:ty)*) => {
        $({
            type $number = $type;
            if let Some(done) = $work {
                return done;
            }
        })*
    };
}

impl Kind {
    fn of(id: TypeId) -> Kind {
        for_each_number!(N => (id == TypeId::of::<N>()).then_some(Kind::Number));
        if whole_list::is_list(id) { Kind::List } else { Kind::Value }
    }

    /// Reads a value into its place, an `Option` of its type. `read` is how serde does.
    fn read_into<'de>(
        self,
        place: &mut dyn Any,
        mut source: Source<'de>,
        read: &mut dyn FnMut(&mut dyn Any, &mut Scanner<'de>) -> Result<(), Error>,
    ) -> Result<(), String> {
        caught(&mut || match self {
            Kind::Number => {
                read_number(place, &mut source)?;
                source.finish()
            }
            Kind::List => {
                whole_list::read(place, &mut source)?;
                source.finish()
            }
            Kind::Value => {
                let mut scanner = Scanner::new(std::mem::replace(&mut source, Source::whole(&[])));
                read(place, &mut scanner)?;
                scanner.finish()
            }
        })
    }
}

fn read_number(place: &mut dyn Any, source: &mut Source<'_>) -> Result<(), Error> {
    for_each_number!(N => place.downcast_mut::<Option<N>>().map(|place| {
        *place = Some(N::from_le_bytes(source.array()?));
        Ok(())
    }));
    unreachable!("it is the place of a number")
}

impl<T: 'static> Form<T> {
    pub(crate) fn new() -> Self {
        Form { kind: Kind::of(TypeId::of::<T>()), of: PhantomData }
    }

    /// All values as bytes behind each other, if each is no more than its bytes.
    pub(crate) fn numbers(self, values: &[T]) -> Option<&[u8]> {
        if self.kind != Kind::Number {
            return None;
        }
        // SAFETY: all bytes of numbers are there to be read, and live as long as these.
        Some(unsafe { slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }
}

impl<T: Serialize + 'static> Form<T> {
    /// Writes a value. The error says why it cannot be carried.
    pub(crate) fn write(self, value: &T, sink: &mut Sink<'_>) -> Result<(), String> {
        match self.numbers(slice::from_ref(value)) {
            Some(bytes) => sink.put(bytes),
            None if self.kind == Kind::List => whole_list::write(value, sink),
            None => with_writer(sink, &mut |writer| value.serialize(writer)),
        }
    }
}

impl<T: DeserializeOwned + 'static> Form<T> {
    /// Reads a value from bytes that were written in this form.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<T, String> {
        if self.kind == Kind::Number && bytes.len() == size_of::<T>() {
            // SAFETY: these are as many bytes as a `T` has, which is a number, as any bytes are.
            return Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() });
        }
        self.read_all(Source::whole(bytes))
    }

    /// Does the same while the bytes come in.
    pub(crate) fn read_from(self, reader: PartReader<'_>) -> Result<T, String> {
        self.read_all(Source::parts(reader))
    }

    fn read_all(self, source: Source<'_>) -> Result<T, String> {
        let mut place: Option<T> = None;
        self.kind.read_into(&mut place, source, &mut |place, scanner| {
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
}

fn with_writer(
    sink: &mut Sink<'_>,
    write: &mut dyn FnMut(&mut Writer<'_, '_>) -> Result<(), Error>,
) -> Result<(), String> {
    caught(&mut || write(&mut Writer::new(sink)))
}

/// Reads or writes a value. The code that does is the user's, who wrote or derived it for the type:
/// if it panics, the value cannot be carried.
fn caught(work: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(payload) => Err(format!("it panicked: {}", panic_message(payload))),
    }
}
