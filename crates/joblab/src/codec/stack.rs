//! How deep a value may be nested: serde goes down into it by recursion, both ways, and a stack that
//! overflows ends the process.

use std::hint::black_box;
use std::ptr;

/// So much of the stack may be taken, in bytes: half of what std gives a thread.
const MOST: usize = 1 << 20;

/// Where the stack was when a value began.
pub(super) struct Stack(usize);

impl Stack {
    pub(super) fn here() -> Self {
        Stack(address())
    }

    /// Whether the value has taken what it may of the stack. Levels are not counted, since only the
    /// user's types, and how they were compiled, say what one takes.
    pub(super) fn is_spent(&self) -> bool {
        self.0.abs_diff(address()) > MOST
    }
}

/// An address in the stack, about where the caller is.
fn address() -> usize {
    let local = 0_u8;
    ptr::from_ref(black_box(&local)).addr()
}
