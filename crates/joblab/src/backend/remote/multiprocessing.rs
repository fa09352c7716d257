//! A pool of processes, each the running program started again.
//!
//! ```text
//!  calling thread            I/O thread of the pool             worker process
//!  --------------            ----------------------             --------------
//!  argument to bytes  --->   waiting parcels
//!                            the next free worker     ------>   finds the function by
//!                                                      socket   library and offset, calls it
//!  result from bytes  <---   its parcel's way home    <------   result to bytes
//!                            whole lines to our own   <------   what the task prints
//!                            stdout and stderr          pipes
//! ```
//!
//! A worker's standard input is a private socket, which carries [frames](super::wire) both ways. When
//! the parent is gone, in whatever way, the system closes the socket, and the worker ends at once.

mod child;
mod pump;

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::outlet;
use super::shipping::{Parcel, Shipping};
use super::worker;
use crate::backend::{Job, Pool};
use crate::error::Error;
use crate::lock::lock;

/// The pool as its callers see it. The processes belong to its I/O thread.
pub(super) struct Processes {
    n_jobs: usize,
    shared: Arc<Shared>,
    pump: Option<JoinHandle<()>>,
}

/// What the calling threads and the I/O thread share.
struct Shared {
    inbox: Mutex<Inbox>,
    shipping: Mutex<Shipping>,
    /// A byte in here wakes the I/O thread.
    bell: UnixStream,
}

#[derive(Default)]
struct Inbox {
    parcels: VecDeque<Parcel>,
    /// Whether the bell has been rung since the I/O thread looked.
    rung: bool,
    /// Whether a call does not want its batches any more.
    has_unwanted: bool,
    /// Whether the pool is being dropped, or the I/O thread has ended: nothing is taken in then.
    closing: bool,
}

impl Processes {
    /// Starts the I/O thread; the workers start when there are tasks for them.
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        if std::env::var_os(worker::VARIABLE).is_some() {
            return Err(Error::start(format!(
                "this process is a worker that has run into main, since its start-up code was not \
                 linked. Unset {} if you have set it yourself",
                worker::VARIABLE
            )));
        }
        let failed = |error: std::io::Error| Error::pool(n_jobs, error);
        let (bell, listener) = UnixStream::pair().map_err(failed)?;
        bell.set_nonblocking(true).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let shared = Arc::new(Shared { inbox: Mutex::default(), shipping: Mutex::default(), bell });
        let theirs = Arc::clone(&shared);
        let pump = std::thread::Builder::new()
            .name("joblab-pump".to_owned())
            .spawn(move || pump::run(n_jobs, &theirs, listener))
            .map_err(failed)?;
        Ok(Processes { n_jobs, shared, pump: Some(pump) })
    }
}

impl Pool for Processes {
    fn n_workers(&self) -> usize {
        self.n_jobs
    }

    /// A trip to a worker and back takes some tens of microseconds.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_millis(2))
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        let (parcel, rest) = Shipping::pack(&self.shared.shipping, job, true)?;
        let first = parcel.answer.tasks().start;
        self.shared.send(|inbox| {
            if inbox.closing {
                return Err(Error::lost(first));
            }
            inbox.parcels.push_back(parcel);
            Ok(())
        })?;
        if let Some((write, pieces)) = rest {
            outlet::send(first, write, pieces, &|| self.shared.send(|_| {}));
        }
        Ok(())
    }

    fn stop_unwanted(&self) -> bool {
        self.shared.send(|inbox| inbox.has_unwanted = true);
        true
    }

    fn shares_memory(&self) -> bool {
        false
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.shared.send(|inbox| inbox.closing = true);
        if let Some(pump) = self.pump.take() {
            // A panic in there has been printed; there is nothing left to tidy up.
            let _ = pump.join();
        }
    }
}

impl Shared {
    /// Changes the inbox and lets the I/O thread know.
    fn send<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut inbox = lock(&self.inbox);
        let changed = change(&mut inbox);
        let rung = std::mem::replace(&mut inbox.rung, true);
        drop(inbox);
        if !rung {
            // It can only fail where the bell has been rung so often that it rings anyway, or
            // where the I/O thread is gone.
            let _ = (&self.bell).write(&[1]);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::Parallel;

    #[test]
    fn a_call_on_a_pool_whose_io_thread_has_ended_is_an_error() {
        let mut pool = Processes::start(1).unwrap();
        pool.shared.send(|inbox| inbox.closing = true);
        pool.pump.take().unwrap().join().unwrap();
        let error = Parallel::with_pool(pool).map(|n: u64| n, [1]).unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}
