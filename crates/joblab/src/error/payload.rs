//! What a panic carries, and values whose drop may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The words of a panic. A payload of another type is dropped, and may panic then.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(payload) => {
                drop_quietly(payload);
                "a panic without a message".to_owned()
            }
        },
    }
}

/// Drops what belongs to a user, whose code may panic then. Nobody can be told.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // It may panic in its turn, and there need be no end to it.
        std::mem::forget(payload);
    }
}
