//! The format: a tag of one byte says of what kind a value is, and what belongs to it follows.
//!
//! All numbers are little-endian. A *length* is one byte, or 255 and then a `u64`. *Items* and *entries*
//! have no length that a reader relies on, since not every writer knows how many there will be: they
//! end with [`END`].

/// Whether types that have a form for people and one for machines, such as addresses, are written as for
/// people. Serde itself takes all that it keeps aside for written so: in the other form such a type could
/// not be read from one that is untagged, flattened or tagged by a field.
pub(super) const IS_HUMAN_READABLE: bool = true;

/// `Option::None`.
pub(super) const NONE: u8 = 0;
/// `Option::Some`, and then the value in it.
pub(super) const SOME: u8 = 1;
/// `()`, or a struct without fields.
pub(super) const UNIT: u8 = 2;
/// `false`.
pub(super) const FALSE: u8 = 3;
/// `true`.
pub(super) const TRUE: u8 = 4;
/// A `char`, as a `u32`.
pub(super) const CHAR: u8 = 5;
/// A string: its length and its bytes.
pub(super) const STR: u8 = 6;
/// What serde calls bytes: their length, and they.
pub(super) const BYTES: u8 = 7;
/// A list, tuple or tuple struct: a length that is only a hint, 0 if nobody knows, and then items.
/// An item is a value, or a [run of numbers](NUMBERS).
pub(super) const SEQ: u8 = 8;
/// A map, or a struct, whose fields' names are strings: a hint as in [`SEQ`], and then entries, each
/// a key and a value.
pub(super) const MAP: u8 = 9;
/// A variant that holds nothing: its name, a [string](STR).
pub(super) const UNIT_VARIANT: u8 = 10;
/// Any other variant: its name, a [string](STR), and what it holds, a value: a [list](SEQ) if it has
/// several fields without names, a [map](MAP) if they have some.
pub(super) const VARIANT: u8 = 11;
/// The end of items or entries.
pub(super) const END: u8 = 12;
/// Among items, many numbers of a type: the tag of that, how many there are as a length, and they,
/// each without a tag of its own. There may be several runs in a list, and items between them.
pub(super) const NUMBERS: u8 = 13;

/// A `u8`.
pub(super) const U8: u8 = 16;
/// A `u16`.
pub(super) const U16: u8 = 17;
/// A `u32`.
pub(super) const U32: u8 = 18;
/// A `u64`, or a `usize`.
pub(super) const U64: u8 = 19;
/// A `u128`.
pub(super) const U128: u8 = 20;
/// An `i8`.
pub(super) const I8: u8 = 21;
/// An `i16`.
pub(super) const I16: u8 = 22;
/// An `i32`.
pub(super) const I32: u8 = 23;
/// An `i64`, or an `isize`.
pub(super) const I64: u8 = 24;
/// An `i128`.
pub(super) const I128: u8 = 25;
/// An `f32`, bit by bit.
pub(super) const F32: u8 = 26;
/// An `f64`, bit by bit.
pub(super) const F64: u8 = 27;

/// How many bytes a number of this tag takes; `None` if it is the tag of something else.
pub(super) fn width(tag: u8) -> Option<usize> {
    Some(match tag {
        U8 | I8 => 1,
        U16 | I16 => 2,
        U32 | I32 | F32 => 4,
        U64 | I64 | F64 => 8,
        U128 | I128 => 16,
        _ => return None,
    })
}

/// The first byte of a length that has more: those up to here are the length themselves.
pub(super) const LONG: u8 = 255;
