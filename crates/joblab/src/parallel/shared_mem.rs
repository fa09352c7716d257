//! [`SharedMem`]: closures that capture and borrow, on workers that share the caller's memory.

use std::sync::OnceLock;

use super::Parallel;
use crate::call::{self, Borrowing};
use crate::error::Error;
use crate::measure::Run;
use crate::pool::SharedMemory;

/// A pool for closures that capture and borrow; [`Parallel::sharedmem`] makes one.
///
/// Its workers are threads, also where another backend that does not share memory was chosen, or
/// the calling thread for `Backend::Sequential`. That a closure cannot go to another process is
/// checked by its type.
///
/// ```
/// # use joblab::Parallel;
/// let data: Vec<f64> = (0..1_000).map(f64::from).collect();
/// let parallel = Parallel::new(2).sharedmem();
/// // All threads read the one vector; inputs may borrow too.
/// let run = parallel.map(|part: &[f64]| part.iter().sum::<f64>(), data.chunks(100))?;
/// assert_eq!(run.results.iter().sum::<f64>(), 499_500.0);
/// # Ok::<(), joblab::Error>(())
/// ```
///
/// A plain [`map`](Parallel::map) has no way to take such a closure:
///
/// ```compile_fail,E0308
/// # use joblab::Parallel;
/// let data = vec![1.0, 2.0];
/// let run = Parallel::new(2).map(|n: usize| data[n], 0..2);
/// ```
pub struct SharedMem {
    parallel: Parallel,
    pool: OnceLock<Box<dyn SharedMemory>>,
}

impl Parallel {
    /// Keeps the options and shares memory with its workers, so that closures may capture and borrow:
    /// joblib's `require="sharedmem"`.
    pub fn sharedmem(self) -> SharedMem {
        SharedMem { parallel: self, pool: OnceLock::new() }
    }
}

impl SharedMem {
    /// Runs `f` on every input.
    ///
    /// # Errors
    /// As [`Parallel::run`]; and where `retries` was asked for, since inputs that may be borrowed
    /// cannot be kept for another attempt.
    pub fn map<A, R>(
        &self,
        f: impl Fn(A) -> R + Sync,
        inputs: impl IntoIterator<Item = A>,
    ) -> Result<Run<R>, Error>
    where
        A: Send,
        R: Send + 'static,
    {
        let (pool, nesting) = self.parallel.enter_shared(&self.pool)?;
        let inputs = inputs.into_iter();
        let mut run = None;
        pool.scope(Box::new(|spawn| {
            let setup = self.parallel.setup(pool.as_workers(), nesting, false);
            run = Some(call::run(setup, &mut Borrowing::new(spawn, inputs, &f)));
        }));
        run.expect("scope calls")
    }
}

impl std::fmt::Debug for SharedMem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}.sharedmem()", self.parallel)
    }
}
