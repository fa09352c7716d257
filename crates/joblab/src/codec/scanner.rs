//! Reads the [format](super::format) piece by piece, and knows nothing of what is made of the pieces.

use serde::de::Expected;

use super::error::Error;
use super::format::*;
use super::number_run::Run;
use super::source::{Bytes, Source, Text};
use super::stack::Stack;
use super::token::Token;

/// Where nobody knows how many bytes are to come, so many may.
const EXPECTED: usize = 1 << 16;

pub(super) struct Scanner<'de> {
    source: Source<'de>,
    stack: Stack,
    run: Run,
}

macro_rules! numbers {
    ($($number:ident $tag:ident)*) => {$(
        /// The next value, if it is a number of just this type that is here. All others are left to
        /// `token`.
        pub(super) fn $number(&mut self) -> Option<$number> {
            if let Some(tag) = self.run.tag() {
                if tag != $tag {
                    return None;
                }
                return self.run.take().map($number::from_le_bytes);
            }
            self.source.tagged($tag).map($number::from_le_bytes)
        }
    )*};
}

impl<'de> Scanner<'de> {
    pub(super) fn new(source: Source<'de>) -> Self {
        Scanner { source, stack: Stack::here(), run: Run::NONE }
    }

    /// Refuses bytes behind the value.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.source.finish()
    }

    /// The tag of the next value, which stays the next.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.run.tag() {
            Some(tag) => Ok(tag),
            None => self.source.peek(),
        }
    }

    /// Takes the tag of the next value. A number of a run has none; what follows is its bytes.
    #[inline]
    fn tag(&mut self) -> Result<u8, Error> {
        match self.run.tag() {
            Some(tag) => Ok(tag),
            None => self.source.byte(),
        }
    }

    /// The bytes of a number whose tag was taken.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.run.take() {
            Some(bytes) => Ok(bytes),
            None => self.source.array(),
        }
    }

    numbers! {
        u8 U8
        u16 U16
        u32 U32
        u64 U64
        u128 U128
        i8 I8
        i16 I16
        i32 I32
        i64 I64
        i128 I128
        f32 F32
        f64 F64
    }

    pub(super) fn token(&mut self) -> Result<Token, Error> {
        let tag = self.tag()?;
        if (SOME..=VARIANT).contains(&tag) && self.stack.is_spent() {
            return Err(Error::too_deep());
        }
        Ok(match tag {
            NONE => Token::None,
            SOME => Token::Some,
            UNIT => Token::Unit,
            FALSE => Token::Bool(false),
            TRUE => Token::Bool(true),
            CHAR => {
                let code = u32::from_le_bytes(self.source.array()?);
                Token::Char(char::from_u32(code).ok_or_else(|| Error::damaged(tag))?)
            }
            STR => Token::Str(self.source.length()?),
            BYTES => Token::Bytes(self.source.length()?),
            SEQ => Token::Seq(self.hint()?),
            MAP => Token::Map(self.hint()?),
            UNIT_VARIANT => Token::UnitVariant,
            VARIANT => Token::Variant,
            U8 => Token::U8(u8::from_le_bytes(self.array()?)),
            U16 => Token::U16(u16::from_le_bytes(self.array()?)),
            U32 => Token::U32(u32::from_le_bytes(self.array()?)),
            U64 => Token::U64(u64::from_le_bytes(self.array()?)),
            U128 => Token::U128(u128::from_le_bytes(self.array()?)),
            I8 => Token::I8(i8::from_le_bytes(self.array()?)),
            I16 => Token::I16(i16::from_le_bytes(self.array()?)),
            I32 => Token::I32(i32::from_le_bytes(self.array()?)),
            I64 => Token::I64(i64::from_le_bytes(self.array()?)),
            I128 => Token::I128(i128::from_le_bytes(self.array()?)),
            F32 => Token::F32(f32::from_le_bytes(self.array()?)),
            F64 => Token::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(Error::damaged(tag)),
        })
    }

    /// How many items or entries there may be: never more than there can be for all that is known.
    #[inline]
    fn hint(&mut self) -> Result<usize, Error> {
        let hint = self.source.length()?;
        Ok(usize::try_from(hint).unwrap_or(usize::MAX).min(self.most()))
    }

    /// The most values that are sure to be no lie.
    #[inline]
    pub(super) fn most(&self) -> usize {
        self.source.known().unwrap_or(EXPECTED)
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Bytes<'_, 'de>, Error> {
        self.source.bytes(length)
    }

    pub(super) fn text(&mut self, length: u64) -> Result<Text<'_, 'de>, Error> {
        let text = match self.source.bytes(length)? {
            Bytes::Lasting(bytes) => str::from_utf8(bytes).map(Text::Lasting),
            Bytes::Passing(bytes) => str::from_utf8(bytes).map(Text::Passing),
            Bytes::Owned(bytes) => {
                String::from_utf8(bytes).map(Text::Owned).map_err(|error| error.utf8_error())
            }
        };
        text.map_err(|_| Error::new("it is damaged: a string is not UTF-8"))
    }

    /// The next value, if it is a short string that lies in memory, as names of fields do: quicker than
    /// `token`, to which all else is left.
    pub(super) fn lasting_str(&mut self) -> Option<&'de str> {
        if self.run.is_here() { None } else { self.source.lasting_str(STR) }
    }

    /// The same for one that lies in a part.
    pub(super) fn passing_str(&mut self) -> Option<&str> {
        if self.run.is_here() { None } else { self.source.passing_str(STR) }
    }

    /// Begins to read bytes as numbers.
    pub(super) fn begin_bytes(&mut self, length: u64) -> Result<(), Error> {
        self.run.begin(U8, length)
    }

    /// Whether another of them follows.
    #[inline]
    pub(super) fn has_byte(&mut self) -> Result<bool, Error> {
        self.run.fetch(&mut self.source)
    }

    /// Whether numbers of a run are here.
    #[inline]
    pub(super) fn is_in_run(&self) -> bool {
        self.run.is_here()
    }

    /// Takes the tag of an option, or of what stands for none; no other.
    pub(super) fn option(&mut self) -> Result<Option<u8>, Error> {
        let tag = self.peek()?;
        if !matches!(tag, NONE | SOME | UNIT) {
            return Ok(None);
        }
        if self.stack.is_spent() {
            return Err(Error::too_deep());
        }
        self.source.byte().map(Some)
    }

    /// The next value, if it is a truth value.
    pub(super) fn bool(&mut self) -> Option<bool> {
        let tag = self.peek().ok()?;
        if !matches!(tag, FALSE | TRUE) {
            return None;
        }
        self.source.byte().ok().map(|tag| tag == TRUE)
    }

    /// Takes the tag of a variant, up to its name, and gives it. A map of one entry and a string are
    /// variants too, for those who write them by hand as text formats have them.
    pub(super) fn variant(&mut self, expected: &dyn Expected) -> Result<u8, Error> {
        let tag = self.peek()?;
        match tag {
            STR => {}
            UNIT_VARIANT | VARIANT if !self.stack.is_spent() => drop(self.source.byte()?),
            _ => match self.token()? {
                Token::Map(_) => {}
                other => return Err(other.instead_of(expected)),
            },
        }
        Ok(tag)
    }

    /// A value that holds nothing.
    pub(super) fn unit(&mut self) -> Result<(), Error> {
        match self.token()? {
            Token::Unit => Ok(()),
            other => Err(other.instead_of(&"unit variant")),
        }
    }

    /// Takes numbers of this tag that are here as the next items.
    pub(super) fn numbers_here(&mut self, tag: u8) -> Option<&[u8]> {
        self.run.take_all_of(tag)
    }

    /// The hint of items or entries, if such follow: the tag says which. Quicker than `token`, to which
    /// all else is left.
    pub(super) fn begin(&mut self, tag: u8) -> Option<usize> {
        if self.peek().ok()? != tag || self.stack.is_spent() {
            return None;
        }
        self.source.byte().ok()?;
        self.hint().ok()
    }

    /// Whether another item follows.
    pub(super) fn has_item(&mut self) -> Result<bool, Error> {
        while !self.run.fetch(&mut self.source)? {
            match self.source.peek()? {
                END => return Ok(false),
                NUMBERS => {
                    let [_, tag] = self.source.array()?;
                    let numbers = self.source.length()?;
                    self.run.begin(tag, numbers)?;
                }
                _ => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Goes past the end of items, which must have been read.
    pub(super) fn end_of_items(&mut self) -> Result<(), Error> {
        if self.has_item()? {
            return Err(Error::too_many());
        }
        self.source.byte().map(drop)
    }

    /// The same for bytes that were read as items.
    pub(super) fn end_of_bytes(&mut self) -> Result<(), Error> {
        if self.has_byte()? { Err(Error::too_many()) } else { Ok(()) }
    }

    /// The same for entries.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.tag()? == END { Ok(()) } else { Err(Error::too_many()) }
    }

    /// Goes past a value. This is no recursion, so that it takes no stack.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let mut open = 0_u64;
        loop {
            match self.peek()? {
                END if open > 0 => {
                    self.source.byte()?;
                    open -= 1;
                }
                NUMBERS if open > 0 => {
                    let [_, tag] = self.source.array()?;
                    let width = width(tag).ok_or_else(|| Error::damaged(tag))?;
                    let bytes = self.source.length()?.checked_mul(width as u64);
                    self.source.skip(bytes.ok_or_else(Error::cut)?)?;
                }
                _ => match self.token()? {
                    Token::Str(length) | Token::Bytes(length) => self.source.skip(length)?,
                    // A value follows that belongs to it: the name in case of a variant.
                    Token::Some | Token::UnitVariant => continue,
                    Token::Variant => {
                        self.skip_name()?;
                        continue;
                    }
                    Token::Seq(_) | Token::Map(_) => open += 1,
                    _ => {}
                },
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// Goes past a variant's name.
    fn skip_name(&mut self) -> Result<(), Error> {
        match self.token()? {
            Token::Str(length) => self.source.skip(length),
            other => Err(other.instead_of(&"the name of a variant")),
        }
    }
}
