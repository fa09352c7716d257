//! Serde's deserializer: makes a value of what a [`Scanner`] reads. What does not know the type of the
//! value is done there, since everything here is compiled for each.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::error::Error;
use super::format::*;
use super::read_list;
use super::scanner::{Number, Scanner, Text, Token};
use super::source::Bytes;

type Result<T> = std::result::Result<T, Error>;

impl<'de> Scanner<'de> {
    fn visit_text<V: Visitor<'de>>(&mut self, length: u64, visitor: V) -> Result<V::Value> {
        match self.text(length)? {
            Text::Lasting(text) => visitor.visit_borrowed_str(text),
            Text::Passing(text) => visitor.visit_str(text),
            Text::Owned(text) => visitor.visit_string(text),
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

    /// Bytes, if a list of numbers was asked for.
    fn visit_bytes_as_items<V: Visitor<'de>>(
        &mut self,
        length: u64,
        visitor: V,
    ) -> Result<V::Value> {
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

    /// An integer that is none of the width that was asked for.
    fn visit_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.integer(&visitor)? {
            Number::Unsigned(n) => visitor.visit_u64(n),
            Number::Signed(n) => visitor.visit_i64(n),
        }
    }

    /// A number that was asked for as one of floating point.
    fn visit_float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let number = self.float(&visitor)?;
        visitor.visit_f64(number)
    }

    /// An integer that was asked for as one of 128 bits.
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
        deserialize_u8 u8 visit_u8 or visit_integer
        deserialize_u16 u16 visit_u16 or visit_integer
        deserialize_u32 u32 visit_u32 or visit_integer
        deserialize_u64 u64 visit_u64 or visit_integer
        deserialize_u128 u128 visit_u128 or visit_wide
        deserialize_i8 i8 visit_i8 or visit_integer
        deserialize_i16 i16 visit_i16 or visit_integer
        deserialize_i32 i32 visit_i32 or visit_integer
        deserialize_i64 i64 visit_i64 or visit_integer
        deserialize_i128 i128 visit_i128 or visit_wide
        deserialize_f32 f32 visit_f32 or visit_float
        deserialize_f64 f64 visit_f64 or visit_float
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
        if let Some(text) = self.lasting_string() {
            return visitor.visit_borrowed_str(text);
        }
        if let Some(text) = self.passing_string() {
            return visitor.visit_str(text);
        }
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
        if let Some(hint) = self.begin(SEQ) {
            if let Some(list) = read_list::read::<V>(self, hint)? {
                self.end_of_items()?;
                return Ok(list);
            }
            return self.visit_items(hint, visitor);
        }
        match self.token()? {
            Token::Bytes(length) => self.visit_bytes_as_items(length, visitor),
            other => Err(other.instead_of(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        if let Some(hint) = self.begin(SEQ) {
            return self.visit_items(hint, visitor);
        }
        match self.token()? {
            Token::Bytes(length) => self.visit_bytes_as_items(length, visitor),
            other => Err(other.instead_of(&visitor)),
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
        if let Some(text) = self.lasting_string() {
            return visitor.visit_borrowed_str(text);
        }
        if let Some(text) = self.passing_string() {
            return visitor.visit_str(text);
        }
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

struct Items<'a, 'de> {
    scanner: &'a mut Scanner<'de>,
    hint: usize,
    /// Whether it is bytes in truth, which have no tag at their end.
    is_bytes: bool,
}

impl Items<'_, '_> {
    #[inline]
    fn has_next(&mut self) -> Result<bool> {
        if self.is_bytes { self.scanner.has_byte() } else { self.scanner.has_item() }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.scanner.is_in_run() || self.has_next()? {
            return seed.deserialize(&mut *self.scanner).map(Some);
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint)
    }
}

struct Entries<'a, 'de> {
    scanner: &'a mut Scanner<'de>,
    hint: usize,
}

impl Entries<'_, '_> {
    fn has_next(&mut self) -> Result<bool> {
        Ok(self.scanner.peek()? != END)
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        match self.has_next()? {
            true => seed.deserialize(&mut *self.scanner).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.scanner)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint)
    }
}

/// A variant that holds something, as a map of one entry, for those who ask what there is.
struct Holder<'a, 'de> {
    scanner: &'a mut Scanner<'de>,
    is_read: bool,
}

impl<'de> MapAccess<'de> for Holder<'_, 'de> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if std::mem::replace(&mut self.is_read, true) {
            return Ok(None);
        }
        seed.deserialize(&mut *self.scanner).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.scanner)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(!self.is_read))
    }
}

struct Variant<'a, 'de> {
    scanner: &'a mut Scanner<'de>,
    is_unit: bool,
}

impl Variant<'_, '_> {
    fn holds(&self, expected: &'static str) -> Result<()> {
        match self.is_unit {
            true => Err(Error::invalid_type(Unexpected::UnitVariant, &expected)),
            false => Ok(()),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        Ok((seed.deserialize(&mut *self.scanner)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        if self.is_unit { Ok(()) } else { self.scanner.unit() }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.holds("newtype variant")?;
        seed.deserialize(self.scanner)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        self.holds("tuple variant")?;
        self.scanner.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.holds("struct variant")?;
        self.scanner.deserialize_struct("", fields, visitor)
    }
}
