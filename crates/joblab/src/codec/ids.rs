#![allow(unsafe_code)]
//! What a type is, where it is not known whether it is `'static`: serde's traits do not say.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem;

/// A type that can be asked for what it is, lifetimes aside.
trait Named {
    fn id(&self) -> TypeId
    where
        Self: 'static;
}

impl<T> Named for PhantomData<T> {
    fn id(&self) -> TypeId
    where
        Self: 'static,
    {
        TypeId::of::<T>()
    }
}

/// The type, as it is with `'static` for each of its lifetimes.
pub(super) fn id_of<T>() -> TypeId {
    let name: &dyn Named = &PhantomData::<T>;
    // SAFETY: only the bound of the trait object changes, and not its layout. It is asked for nothing
    // but the type, which holds no reference.
    unsafe { mem::transmute::<&dyn Named, &(dyn Named + 'static)>(name) }.id()
}
