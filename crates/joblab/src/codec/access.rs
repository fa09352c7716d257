//! How a visitor asks for items, entries and what a variant holds.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::error::Error;
use super::format::END;
use super::scanner::Scanner;

type Result<T> = std::result::Result<T, Error>;

/// The items of a list.
pub(super) struct Items<'a, 'de> {
    pub(super) scanner: &'a mut Scanner<'de>,
    pub(super) hint: usize,
    /// Whether it is bytes in truth, which have no tag at their end.
    pub(super) is_bytes: bool,
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

/// The entries of a map, or the fields of a struct.
pub(super) struct Entries<'a, 'de> {
    pub(super) scanner: &'a mut Scanner<'de>,
    pub(super) hint: usize,
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
pub(super) struct Holder<'a, 'de> {
    pub(super) scanner: &'a mut Scanner<'de>,
    pub(super) is_read: bool,
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

/// A variant, from its name on.
pub(super) struct Variant<'a, 'de> {
    pub(super) scanner: &'a mut Scanner<'de>,
    pub(super) is_unit: bool,
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
