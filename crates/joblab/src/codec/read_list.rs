#![allow(unsafe_code)]
//! Lists of numbers within other values, read all at once. Serde asks for each number, since it does not
//! know better; but a list of numbers is what it makes of them if it asks through the visitor that it has
//! for a `Vec` of such numbers, and that can be told by its type.

use std::any::TypeId;
use std::fmt::{self, Display, Formatter};

use bytemuck::Pod;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::Error;
use super::format::*;
use super::ids::id_of;
use super::scanner::Scanner;

/// Reads items that the visitor would make a `Vec` of numbers of; `None` for all other visitors.
pub(super) fn read<'de, V: Visitor<'de>>(
    scanner: &mut Scanner<'de>,
    hint: usize,
) -> Result<Option<V::Value>, Error> {
    let mut place: Option<V::Value> = None;
    if size_of::<V>() == 0 && size_of::<V::Value>() == size_of::<Vec<u8>>() {
        // SAFETY: the visitor is of the type, and the place is for what it makes.
        unsafe { read_into(id_of::<V>(), scanner, hint, (&raw mut place).cast())? };
    }
    Ok(place)
}

/// The same, once for all visitors.
///
/// # Safety
/// `place` points to an `Option` of what a visitor of the type `id`, lifetimes aside, makes.
unsafe fn read_into(
    id: TypeId,
    scanner: &mut Scanner<'_>,
    hint: usize,
    place: *mut (),
) -> Result<(), Error> {
    macro_rules! look {
        ($($number:ty, $tag:ident)*) => {$(
            if visitor_of::<$number>() == Some(id) {
                let list: Vec<$number> = read_list(scanner, hint, $tag)?;
                // SAFETY: it points to an `Option` of what serde's visitor for such lists makes, which
                // is such a list.
                unsafe { *place.cast() = Some(list) };
                return Ok(());
            }
        )*};
    }
    look! {
        u8, U8 f64, F64 u64, U64 i64, I64 u32, U32 i32, I32 f32, F32
        usize, U64 isize, I64 u16, U16 i16, I16 i8, I8 u128, U128 i128, I128
    }
    Ok(())
}

fn read_list<N: Pod + DeserializeOwned>(
    scanner: &mut Scanner<'_>,
    hint: usize,
    tag: u8,
) -> Result<Vec<N>, Error> {
    let mut list = Vec::with_capacity(hint.min(CAUTIOUS / size_of::<N>()));
    while scanner.has_item()? {
        match scanner.numbers_here(tag) {
            Some(bytes) => {
                let start = list.len();
                list.resize(start + bytes.len() / size_of::<N>(), N::zeroed());
                bytemuck::cast_slice_mut(&mut list[start..]).copy_from_slice(bytes);
            }
            None => list.push(N::deserialize(&mut *scanner)?),
        }
    }
    Ok(list)
}

/// So many bytes are taken for a list before it is known that it is as long as it says.
const CAUTIOUS: usize = 1 << 20;

/// The type of serde's visitor for a `Vec` of these numbers.
fn visitor_of<N: DeserializeOwned>() -> Option<TypeId> {
    Vec::<N>::deserialize(Asked).err().and_then(|Answer(id)| id)
}

/// A deserializer that has no value, and tells who asked.
struct Asked;

#[derive(Debug)]
struct Answer(Option<TypeId>);

impl Display for Answer {
    fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Answer {}

impl serde::de::Error for Answer {
    fn custom<T: Display>(_: T) -> Self {
        Answer(None)
    }
}

impl<'de> Deserializer<'de> for Asked {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(None))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(Some(id_of::<V>())))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}
