//! Serde's serializer, which is a [`Writer`]. That is no generic type, so that only serde's part of it is
//! compiled for each type of value.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::Error;
use super::format::*;
use super::write_list;
use super::writer::Writer;

/// Lists that are shorter have no runs: these would save nothing.
const SHORT: usize = 8;

/// The items of a list, as they come.
pub(super) struct Items<'i, 'w, 's> {
    writer: &'i mut Writer<'w, 's>,
    has_runs: bool,
}

impl<'i, 'w, 's> Items<'i, 'w, 's> {
    fn begin(writer: &'i mut Writer<'w, 's>, hint: Option<usize>) -> Result<Self, Error> {
        writer.many(SEQ, hint)?;
        Ok(Items { writer, has_runs: hint.is_none_or(|items| items >= SHORT) })
    }
}

macro_rules! numbers {
    ($($method:ident $type:ty, $tag:ident)*) => {$(
        fn $method(self, value: $type) -> Result<(), Error> {
            self.number($tag, value.to_le_bytes())
        }
    )*};
}

impl<'i, 'w, 's> Serializer for &'i mut Writer<'w, 's> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'i, 'w, 's>;
    type SerializeTuple = Items<'i, 'w, 's>;
    type SerializeTupleStruct = Items<'i, 'w, 's>;
    type SerializeTupleVariant = Items<'i, 'w, 's>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        IS_HUMAN_READABLE
    }

    numbers! {
        serialize_u8 u8, U8
        serialize_u16 u16, U16
        serialize_u32 u32, U32
        serialize_u64 u64, U64
        serialize_u128 u128, U128
        serialize_i8 i8, I8
        serialize_i16 i16, I16
        serialize_i32 i32, I32
        serialize_i64 i64, I64
        serialize_i128 i128, I128
        serialize_f32 f32, F32
        serialize_f64 f64, F64
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.tag(if value { TRUE } else { FALSE })
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.end_run()?;
        self.number(CHAR, u32::from(value).to_le_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.sized(STR, value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.sized(BYTES, value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.tag(NONE)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.outer(SOME)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.tag(UNIT)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.tag(UNIT)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.variant(UNIT_VARIANT, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(VARIANT, variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'i, 'w, 's>, Error> {
        Items::begin(self, length)
    }

    /// What collections call. Numbers that lie behind each other are written as they lie there.
    fn collect_seq<I>(self, items: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if let Some((tag, bytes)) = write_list::numbers(&items) {
            return self.list(tag, bytes);
        }
        let mut items = items.into_iter();
        let (least, most) = items.size_hint();
        let mut list = self.serialize_seq(most.filter(|most| *most == least))?;
        items.try_for_each(|item| SerializeSeq::serialize_element(&mut list, &item))?;
        SerializeSeq::end(list)
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'i, 'w, 's>, Error> {
        Items::begin(self, Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Items<'i, 'w, 's>, Error> {
        Items::begin(self, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items<'i, 'w, 's>, Error> {
        self.variant(VARIANT, variant)?;
        Items::begin(self, Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Error> {
        self.many(MAP, length)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Self, Error> {
        self.many(MAP, Some(length))?;
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, Error> {
        self.variant(VARIANT, variant)?;
        self.many(MAP, Some(length))?;
        Ok(self)
    }
}

macro_rules! items {
    ($($trait:ident $method:ident)*) => {$(
        impl $trait for Items<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.writer.is_item = self.has_runs;
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result<(), Error> {
                self.writer.tag(END)
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

impl SerializeMap for &mut Writer<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        self.tag(END)
    }
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl $trait for &mut Writer<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.sized(STR, name.as_bytes())?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Error> {
                self.tag(END)
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }
