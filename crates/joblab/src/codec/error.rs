//! Why a value was not written or read.

use std::fmt::{self, Display, Formatter};
use std::io;

/// Why a value was not written or read.
#[derive(Debug)]
pub(super) struct Error(Box<str>);

/// What serde itself says where it keeps a value aside to look at it twice, which it cannot do with
/// numbers of this size.
const NOT_SUPPORTED: [&str; 2] = ["i128 is not supported", "u128 is not supported"];

const HINT: &str = "serde cannot keep numbers of 128 bits in types that are untagged, flattened or tagged \
    by a field: write it as two of 64 bits or as a string there, with `#[serde(with = ..)]`";

impl Error {
    pub(super) fn new(reason: impl Into<Box<str>>) -> Self {
        Error(reason.into())
    }

    /// There is not enough to read.
    #[cold]
    pub(super) fn cut() -> Self {
        Error::new("it ends too early")
    }

    /// There is no value that begins like this.
    #[cold]
    pub(super) fn damaged(tag: u8) -> Self {
        Error::new(format!("it is damaged: {tag} is no kind of value"))
    }

    /// There is more to read than its type asks for.
    #[cold]
    pub(super) fn too_many() -> Self {
        Error::new("there are more items in it than its type has room for")
    }

    #[cold]
    pub(super) fn too_deep() -> Self {
        Error::new("it is nested too deeply: what it holds would take more stack than a thread has")
    }

    /// Says what to do where serde refused a number of 128 bits that it was to keep aside.
    #[cold]
    pub(super) fn of_128_bits(self) -> Self {
        Error(format!("{self} ({HINT})").into())
    }

    #[cold]
    fn of_serde(message: &dyn Display) -> Self {
        let error = Error::new(message.to_string());
        if NOT_SUPPORTED.contains(&&*error.0) { error.of_128_bits() } else { error }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    #[cold]
    fn from(error: io::Error) -> Self {
        Error::new(error.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Error::of_serde(&message)
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Error::of_serde(&message)
    }
}
