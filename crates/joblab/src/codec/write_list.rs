#![allow(unsafe_code)]
//! Which collections are lists of numbers that lie in memory one behind the other, so that they can be
//! written all at once. Serde hands out a collection whose type is not known, and need not be `'static`.

use std::any::TypeId;

use super::format::*;
use super::ids::id_of;

/// The tag of its numbers and their bytes, if it is a reference to a `Vec` or a slice of numbers.
pub(super) fn numbers<T>(collection: &T) -> Option<(u8, &[u8])> {
    if size_of::<T>() != size_of::<&Vec<u8>>() && size_of::<T>() != size_of::<&[u8]>() {
        return None;
    }
    // SAFETY: it is a `T`, and the type is its.
    unsafe { numbers_of(id_of::<T>(), (&raw const *collection).cast()) }
}

/// The same, once for all types.
///
/// # Safety
/// `collection` points to a value of the type `id`, lifetimes aside, that lives as long as `'a`.
unsafe fn numbers_of<'a>(id: TypeId, collection: *const ()) -> Option<(u8, &'a [u8])> {
    macro_rules! look {
        ($($number:ty, $tag:ident)*) => {$(
            if id == TypeId::of::<&'static Vec<$number>>() {
                // SAFETY: it points to a reference to such a `Vec`, as the caller says; numbers have no
                // lifetimes that could differ.
                let list: &'a Vec<$number> = unsafe { *collection.cast() };
                return Some(($tag, bytemuck::cast_slice(list)));
            }
            if id == TypeId::of::<&'static [$number]>() {
                // SAFETY: the same for a slice.
                let list: &'a [$number] = unsafe { *collection.cast() };
                return Some(($tag, bytemuck::cast_slice(list)));
            }
        )*};
    }
    look! {
        u8, U8 f64, F64 u64, U64 i64, I64 u32, U32 i32, I32 f32, F32
        usize, U64 isize, I64 u16, U16 i16, I16 i8, I8 u128, U128 i128, I128
    }
    None
}
