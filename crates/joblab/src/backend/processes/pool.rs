//! The pool as its callers see it.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::inbox::PoolShared;
use super::launch::Launch;
use super::{io_thread, streaming};
use crate::backend::remote::packing::Packer;
use crate::backend::remote::pool_thread::PoolThread;
use crate::backend::remote::printer::Printer;
use crate::backend::remote::worker_main;
use crate::error::Error;
use crate::os;
use crate::pool::{Job, Pool, Workers};
use crate::shared::Lane;

/// The processes belong to the pool's I/O thread.
pub(crate) struct Processes {
    n_jobs: usize,
    shared: Arc<PoolShared>,
    io_thread: PoolThread,
}

impl Processes {
    /// Starts the I/O thread; the workers start when there are tasks for them.
    pub(crate) fn start(n_jobs: usize) -> Result<Self, Error> {
        if std::env::var_os(worker_main::VARIABLE).is_some() {
            return Err(Error::start(format!(
                "this process is a worker that has run into main, since its start-up code was not \
                 linked. Unset {} if you have set it yourself",
                worker_main::VARIABLE
            )));
        }
        os::raise_descriptor_limit();
        Processes::launch(n_jobs, Launch::new(n_jobs)?)
    }

    fn launch(n_jobs: usize, launch: Launch) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::pool(n_jobs, error);
        let (waker, woken) = UnixStream::pair().map_err(failed)?;
        waker.set_nonblocking(true).map_err(failed)?;
        woken.set_nonblocking(true).map_err(failed)?;
        let (inbox, packer) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(PoolShared { inbox, packer, waker, lane: OnceLock::new() });
        let printer = Printer::new().map_err(failed)?;
        let theirs = Arc::clone(&shared);
        let work = move || io_thread::run(n_jobs, &launch, &theirs, woken, printer);
        let io_thread = PoolThread::spawn("joblab-io", work).map_err(failed)?;
        Ok(Processes { n_jobs, shared, io_thread })
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
        let (batch, rest) = Packer::pack(&self.shared.packer, job, true)?;
        if rest.is_some() {
            self.shared.lane.get_or_init(|| Lane::new().map(Arc::new).ok());
        }
        let first = batch.completion.first();
        self.shared.send(|inbox| {
            if inbox.closing {
                return Err(Error::lost(first));
            }
            inbox.batches.push_back(batch);
            Ok(())
        })?;
        if let Some((write, pieces)) = rest {
            let lane = self.shared.lane.get().and_then(Option::as_ref);
            streaming::send(first, write, pieces, lane, &|| self.shared.send(|_| {}));
        }
        Ok(())
    }
}

impl Workers for Processes {
    fn stop_unwanted(&self) -> bool {
        // The locks and the thread behind them are those of another process then.
        if !self.is_forked() {
            self.shared.send(|inbox| inbox.has_unwanted = true);
        }
        true
    }

    fn is_forked(&self) -> bool {
        self.io_thread.is_forked()
    }

    fn shares_memory(&self) -> bool {
        false
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = self.io_thread.end(|| self.shared.send(|inbox| inbox.closing = true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::Parallel;

    #[test]
    fn a_worker_that_never_gets_ready_is_an_error_and_no_wait_for_ever() {
        let mut launch = Launch::new(2).unwrap();
        launch.program = "/bin/sleep".into();
        launch.arguments = vec!["sleep".into(), "1000".into()];
        launch.patience = Duration::from_millis(200);
        let pool = Processes::launch(2, launch).unwrap();
        let error = Parallel::with_pool(pool).map(|n: u64| n, 0..4).unwrap_err();
        assert!(error.to_string().contains("had not come to an end after 200ms"), "{error}");
    }

    #[test]
    fn a_call_on_a_pool_whose_io_thread_has_ended_is_an_error() {
        let mut pool = Processes::start(1).unwrap();
        pool.io_thread.end(|| pool.shared.send(|inbox| inbox.closing = true)).unwrap();
        let error = Parallel::with_pool(pool).map(|n: u64| n, [1]).unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}
