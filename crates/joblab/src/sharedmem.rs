//! [`SharedMem`]: closures that capture and borrow, on workers that share the caller's memory.

use std::sync::OnceLock;

use crate::backend::SharedMemory;
use crate::dispatch::{self, Borrowing};
use crate::error::Error;
use crate::parallel::Parallel;
use crate::run::Run;

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

impl SharedMem {
    pub(crate) fn new(parallel: Parallel) -> Self {
        let pool = OnceLock::new();
        SharedMem { parallel, pool }
    }

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
            let source = Borrowing { spawn, inputs, f: &f };
            let call = self.parallel.call_of(source, pool, nesting, false);
            run = Some(dispatch::run(call, |_, result| Ok(result)));
        }));
        run.expect("scope calls")
    }
}

impl std::fmt::Debug for SharedMem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}.sharedmem()", self.parallel)
    }
}
