//! What a value begins with, as the [`Scanner`](super::scanner::Scanner) reads it.

use serde::de::{Error as _, Expected, Unexpected};

use super::error::Error;

/// The beginning of a value, or the whole if it is small.
#[derive(Clone, Copy)]
pub(super) enum Token {
    None,
    /// The value in it follows.
    Some,
    Unit,
    Bool(bool),
    Char(char),
    /// So many bytes follow.
    Str(u64),
    Bytes(u64),
    /// The items or entries follow, perhaps so many.
    Seq(usize),
    Map(usize),
    /// The name follows, and then what it holds.
    UnitVariant,
    Variant,
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    F32(f32),
    F64(f64),
}

impl Token {
    /// What an error says that was found.
    fn found(self) -> Unexpected<'static> {
        match self {
            Token::None | Token::Some => Unexpected::Option,
            Token::Unit => Unexpected::Unit,
            Token::Bool(value) => Unexpected::Bool(value),
            Token::Char(value) => Unexpected::Char(value),
            Token::Str(_) => Unexpected::Other("string"),
            Token::Bytes(_) => Unexpected::Other("bytes"),
            Token::Seq(_) => Unexpected::Seq,
            Token::Map(_) => Unexpected::Map,
            Token::UnitVariant => Unexpected::UnitVariant,
            Token::Variant => Unexpected::Enum,
            Token::U8(n) => Unexpected::Unsigned(n.into()),
            Token::U16(n) => Unexpected::Unsigned(n.into()),
            Token::U32(n) => Unexpected::Unsigned(n.into()),
            Token::U64(n) => Unexpected::Unsigned(n),
            Token::I8(n) => Unexpected::Signed(n.into()),
            Token::I16(n) => Unexpected::Signed(n.into()),
            Token::I32(n) => Unexpected::Signed(n.into()),
            Token::I64(n) => Unexpected::Signed(n),
            Token::U128(_) | Token::I128(_) => Unexpected::Other("number of 128 bits"),
            Token::F32(n) => Unexpected::Float(n.into()),
            Token::F64(n) => Unexpected::Float(n),
        }
    }

    /// The same with integers of 64 bits for those of fewer.
    pub(super) fn widened(self) -> Token {
        match self {
            Token::U8(n) => Token::U64(n.into()),
            Token::U16(n) => Token::U64(n.into()),
            Token::U32(n) => Token::U64(n.into()),
            Token::I8(n) => Token::I64(n.into()),
            Token::I16(n) => Token::I64(n.into()),
            Token::I32(n) => Token::I64(n.into()),
            other => other,
        }
    }

    /// The error where something else was asked for.
    #[cold]
    pub(super) fn instead_of(self, expected: &dyn Expected) -> Error {
        Error::invalid_type(self.found(), expected)
    }
}
