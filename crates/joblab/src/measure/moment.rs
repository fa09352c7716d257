//! Moments on the clock that all processes of a machine share.

use std::time::Duration;

use crate::os;

/// A moment on the monotonic clock, which all processes of a machine share (clock_gettime(2)), in
/// nanoseconds: a task that takes some fifty of them is measured too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(super) u64);

impl Moment {
    /// `Instant` reads the same clock, but cannot travel to another process.
    pub(crate) fn now() -> Self {
        Moment(os::monotonic_nanoseconds())
    }

    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Nanoseconds since an earlier moment.
    pub(super) fn nanoseconds_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Moment::now().since(self)
    }
}
