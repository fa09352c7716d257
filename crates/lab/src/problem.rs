//! The one error type: what went wrong and what to do, in words for the person at the terminal.

use std::fmt;

/// A message that names the fault and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(String);

/// What every fallible function of this crate returns.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
