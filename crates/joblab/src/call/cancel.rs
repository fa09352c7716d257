//! [`CancelToken`]: stops a call from outside of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os::lock;

/// Stops calls that were given it, from another thread or from one of their own tasks.
///
/// Clones are the same token. A task on a thread may carry one in its argument and ask it now and
/// then, since a thread cannot be stopped from outside. Into a worker process a token travels as one
/// that is never cancelled: there the call stops the process.
///
/// ```
/// # use joblab::{CancelToken, Parallel};
/// let token = CancelToken::new();
/// let parallel = Parallel::new(2).cancel_token(&token);
/// let inputs = (0..).map(|n| (n, token.clone()));
/// let search = |(n, token): (u64, CancelToken)| {
///     if n == 100 {
///         token.cancel();
///     }
///     n
/// };
/// let error = parallel.map(search, inputs).unwrap_err();
/// assert!(error.is_cancelled());
/// assert!(error.take_finished::<u64>().len() >= 100);
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    calls: Mutex<Vec<(usize, Waker)>>,
}

/// Wakes a call that waits for its workers.
pub(super) type Waker = Box<dyn Fn() + Send>;

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Cancels: calls that have the token stop, and later ones do not start. There is no way back.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        for (_, wake) in self.calls().iter() {
            wake();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Wakes a call when the token is cancelled, as long as the watch lives.
    pub(super) fn watch(&self, wake: Waker) -> Watch {
        let mut calls = self.calls();
        let number = calls.last().map_or(0, |(last, _)| last + 1);
        calls.push((number, wake));
        Watch(self.clone(), number)
    }

    fn calls(&self) -> MutexGuard<'_, Vec<(usize, Waker)>> {
        lock(&self.0.calls)
    }
}

/// A call's entry in its token.
pub(super) struct Watch(CancelToken, usize);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.calls().retain(|(number, _)| *number != self.1);
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelToken(cancelled={})", self.is_cancelled())
    }
}

impl Serialize for CancelToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for CancelToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| CancelToken::new())
    }
}
