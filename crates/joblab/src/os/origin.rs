//! The process that something belongs to.

use std::process;

/// Remembers in which process it was made. A fork of that has a copy of its memory, but neither its
/// threads nor its children.
pub(crate) struct Origin(u32);

impl Origin {
    pub(crate) fn here() -> Self {
        Origin(process::id())
    }

    /// Whether this process is another one than it was made in.
    pub(crate) fn is_forked(&self) -> bool {
        self.0 != process::id()
    }
}
