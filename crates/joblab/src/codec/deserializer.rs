//! Serde's deserializer: makes a value of what a [`Scanner`] reads. What does not know the type of the
//! value is done there, since everything here is compiled for each.

use serde::de::{Deserializer, Visitor};

use super::access::{Entries, Holder, Items, Variant};
use super::error::Error;
use super::format::*;
use super::read_list;
use super::scanner::Scanner;
use super::source::{Bytes, Text};
use super::token::Token;

type Result<T> = std::result::Result<T, Error>;

impl<'de> Scanner<'de> {
    fn visit_text<V: Visitor<'de>>(&mut self, length: u64, visitor: V) -> Result<V::Value> {
        match self.text(length)? {
            Text::Lasting(text) => visitor.visit_borrowed_str(text),
            Text::Passing(text) => visitor.visit_str(text),
            Text::Owned(text) => visitor.visit_string(text),
        }
    }

    /// A short string that is here. Gives the visitor back where there is none.
    fn visit_short_text<V: Visitor<'de>>(
        &mut self,
        visitor: V,
    ) -> std::result::Result<Result<V::Value>, V> {
        if let Some(text) = self.lasting_str() {
            return Ok(visitor.visit_borrowed_str(text));
        }
        match self.passing_str() {
            Some(text) => Ok(visitor.visit_str(text)),
            None => Err(visitor),
        }
    }

    fn visit_bytes<V: Visitor<'de>>(&mut self, length: u64, visitor: V) -> Result<V::Value> {
        match self.bytes(length)? {
            Bytes::Lasting(bytes) => visitor.visit_borrowed_bytes(bytes),
            Bytes::Passing(bytes) => visitor.visit_bytes(bytes),
            Bytes::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn visit_items<V: Visitor<'de>>(&mut self, hint: usize, visitor: V) -> Result<V::Value> {
        let value = visitor.visit_seq(Items { hint, scanner: self, is_bytes: false })?;
        self.end_of_items()?;
        Ok(value)
    }

    /// A list that is not written as one: bytes, if a list of numbers was asked for.
    fn visit_as_items<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let length = match self.token()? {
            Token::Bytes(length) => length,
            other => return Err(other.instead_of(&visitor)),
        };
        self.begin_bytes(length)?;
        let hint = usize::try_from(length).unwrap_or(usize::MAX).min(self.most());
        let value = visitor.visit_seq(Items { hint, scanner: self, is_bytes: true })?;
        self.end_of_bytes()?;
        Ok(value)
    }

    fn visit_entries<V: Visitor<'de>>(&mut self, hint: usize, visitor: V) -> Result<V::Value> {
        let value = visitor.visit_map(Entries { hint, scanner: self })?;
        self.end()?;
        Ok(value)
    }

    /// A number that is not just what was asked for, or is not here as a whole.
    #[cold]
    fn visit_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.token()?.widened() {
            Token::U64(n) => visitor.visit_u64(n),
            Token::I64(n) => visitor.visit_i64(n),
            Token::F32(n) => visitor.visit_f32(n),
            Token::F64(n) => visitor.visit_f64(n),
            other => Err(other.instead_of(&visitor)),
        }
    }

    /// The same where one of 128 bits was asked for.
    #[cold]
    fn visit_wide<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.token()?.widened() {
            Token::U64(n) => visitor.visit_u64(n),
            Token::I64(n) => visitor.visit_i64(n),
            Token::U128(n) => visitor.visit_u128(n),
            Token::I128(n) => visitor.visit_i128(n),
            other => Err(other.instead_of(&visitor)),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $type:ident $visit:ident or $other:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.$type() {
                Some(number) => visitor.$visit(number),
                None => self.$other(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Scanner<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        IS_HUMAN_READABLE
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            Token::None => visitor.visit_none(),
            Token::Some => visitor.visit_some(self),
            Token::Unit => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Char(value) => visitor.visit_char(value),
            Token::Str(length) => self.visit_text(length, visitor),
            Token::Bytes(length) => self.visit_bytes(length, visitor),
            Token::Seq(hint) => self.visit_items(hint, visitor),
            Token::Map(hint) => self.visit_entries(hint, visitor),
            Token::UnitVariant => self.deserialize_str(visitor),
            Token::Variant => visitor.visit_map(Holder { scanner: self, is_read: false }),
            Token::U8(n) => visitor.visit_u8(n),
            Token::U16(n) => visitor.visit_u16(n),
            Token::U32(n) => visitor.visit_u32(n),
            Token::U64(n) => visitor.visit_u64(n),
            Token::U128(n) => visitor.visit_u128(n).map_err(Error::of_128_bits),
            Token::I8(n) => visitor.visit_i8(n),
            Token::I16(n) => visitor.visit_i16(n),
            Token::I32(n) => visitor.visit_i32(n),
            Token::I64(n) => visitor.visit_i64(n),
            Token::I128(n) => visitor.visit_i128(n).map_err(Error::of_128_bits),
            Token::F32(n) => visitor.visit_f32(n),
            Token::F64(n) => visitor.visit_f64(n),
        }
    }

    numbers! {
        deserialize_u8 u8 visit_u8 or visit_number
        deserialize_u16 u16 visit_u16 or visit_number
        deserialize_u32 u32 visit_u32 or visit_number
        deserialize_u64 u64 visit_u64 or visit_number
        deserialize_u128 u128 visit_u128 or visit_wide
        deserialize_i8 i8 visit_i8 or visit_number
        deserialize_i16 i16 visit_i16 or visit_number
        deserialize_i32 i32 visit_i32 or visit_number
        deserialize_i64 i64 visit_i64 or visit_number
        deserialize_i128 i128 visit_i128 or visit_wide
        deserialize_f32 f32 visit_f32 or visit_number
        deserialize_f64 f64 visit_f64 or visit_number
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.bool() {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.token()?.instead_of(&visitor)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            Token::Char(value) => visitor.visit_char(value),
            Token::Str(length) => self.visit_text(length, visitor),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let visitor = match self.visit_short_text(visitor) {
            Ok(visited) => return visited,
            Err(visitor) => visitor,
        };
        match self.token()? {
            Token::Str(length) => self.visit_text(length, visitor),
            Token::Char(value) => visitor.visit_char(value),
            Token::Bytes(length) => self.visit_bytes(length, visitor),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            Token::Bytes(length) => self.visit_bytes(length, visitor),
            Token::Str(length) => self.visit_text(length, visitor),
            Token::Seq(hint) => self.visit_items(hint, visitor),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    /// What was not written as an option is in one, as in serde's own deserializers.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.option()? {
            Some(NONE) => visitor.visit_none(),
            Some(UNIT) => visitor.visit_unit(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            Token::Unit => visitor.visit_unit(),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.begin(SEQ) {
            Some(hint) => match read_list::read::<V>(self, hint)? {
                Some(list) => self.end_of_items().map(|()| list),
                None => self.visit_items(hint, visitor),
            },
            None => self.visit_as_items(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        match self.begin(SEQ) {
            Some(hint) => self.visit_items(hint, visitor),
            None => self.visit_as_items(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.begin(MAP) {
            Some(hint) => self.visit_entries(hint, visitor),
            None => Err(self.token()?.instead_of(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if let Some(hint) = self.begin(MAP) {
            return self.visit_entries(hint, visitor);
        }
        match self.token()? {
            Token::Seq(hint) => self.visit_items(hint, visitor),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let form = self.variant(&visitor)?;
        let is_unit = form != VARIANT && form != MAP;
        let value = visitor.visit_enum(Variant { scanner: self, is_unit })?;
        if form == MAP {
            self.end()?;
        }
        Ok(value)
    }

    /// The name of a field or variant, or the key of an entry that may be in a flattened map, which is
    /// no string then.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let visitor = match self.visit_short_text(visitor) {
            Ok(visited) => return visited,
            Err(visitor) => visitor,
        };
        match self.token()? {
            Token::Str(length) => self.visit_text(length, visitor),
            other => match other.widened() {
                Token::U64(n) => visitor.visit_u64(n),
                Token::I64(n) => visitor.visit_i64(n),
                Token::Bool(value) => visitor.visit_bool(value),
                Token::Char(value) => visitor.visit_char(value),
                Token::Unit => visitor.visit_unit(),
                Token::F32(n) => visitor.visit_f32(n),
                Token::F64(n) => visitor.visit_f64(n),
                Token::UnitVariant => self.deserialize_str(visitor),
                Token::Bytes(length) => self.visit_bytes(length, visitor),
                other => Err(other.instead_of(&visitor)),
            },
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }
}
