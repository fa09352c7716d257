//! The one error type: what went wrong and what to do.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Problem(String);

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

impl From<joblab::Error> for Problem {
    fn from(error: joblab::Error) -> Self {
        Self(error.to_string())
    }
}
