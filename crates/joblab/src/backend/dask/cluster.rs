//! The cluster as its callers see it.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bridge::{self, Started, Wanted};
use super::writer::{BridgeWriter, SHARED, Shared};
use crate::backend::remote::framing::Kind;
use crate::backend::remote::packing::Packer;
use crate::backend::remote::pool_thread::PoolThread;
use crate::backend::remote::protocol::{self, JobHead};
use crate::backend::remote::worker_main;
use crate::error::Error;
use crate::notebook::facts::is_evcxr;
use crate::os::lock;
use crate::pool::{Job, Pool, Workers};

/// How many workers have something to do, at least, where a call asks for so many: an adaptive cluster
/// goes by what was submitted, and has none at first.
const ADAPTIVE: usize = 16;

/// The cluster as its callers see it.
pub(crate) struct Cluster {
    n_jobs: usize,
    shared: Arc<Shared>,
    listener: PoolThread,
}

impl Cluster {
    /// Connects to a scheduler, or starts one here.
    pub(crate) fn start(wanted: &Wanted<'_>) -> Result<Self, Error> {
        let mut packer = Packer::default();
        let mut entry = "";
        // What has the worker's code comes first: the program, or a cell's library, and then the one
        // that this is linked with.
        let mut add = |address| packer.image_address(address).map_err(Error::start);
        add(worker_main::entry_address())?;
        if is_evcxr() {
            add(std::process::abort as *const c_void as usize)?;
            entry = worker_main::ENTRY;
        }
        // It is at the workers before the first call's clock starts.
        let frames: Vec<_> = packer.frames_from(0).collect();
        let Started { listener, socket, threads, is_local } =
            bridge::start(wanted, entry, &frames)?;
        let n_jobs = if is_local { wanted.n_workers } else { wanted.n_jobs };
        let shared = Arc::new(Shared {
            packer: Mutex::new(packer),
            writer: Mutex::new(BridgeWriter::new(socket, frames.len())),
            waiting: Mutex::new(Ok(HashMap::new())),
            threads: AtomicUsize::new(threads),
        });
        let theirs = Arc::clone(&shared);
        let listener = PoolThread::spawn("joblab-dask", move || listener.listen(&theirs))
            .map_err(|error| Error::pool(n_jobs, error))?;
        Ok(Cluster { n_jobs, shared, listener })
    }
}

impl Pool for Cluster {
    fn n_workers(&self) -> usize {
        let threads = self.shared.threads.load(Ordering::Relaxed);
        threads.clamp(1, self.n_jobs)
    }

    /// Enough for a cluster that grows with what there is to do, too.
    fn look_ahead(&self) -> usize {
        2 * self.n_jobs.min(self.n_workers().max(ADAPTIVE))
    }

    /// A Dask task costs some milliseconds where the scheduler shares its CPUs with the workers.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        let (batch, _) = Packer::pack(&self.shared.packer, job, false)?;
        let of_state = match batch.needs_state {
            true => lock(&self.shared.packer).state_attachments.clone(),
            false => Vec::new(),
        };
        let mut all = of_state.iter().chain(&batch.attachments);
        if all.any(|attached| !attached.written.is_empty()) {
            return Err(Error::argument(batch.completion.first(), SHARED));
        }
        let limit = batch.completion.task_timeout();
        let mut writer = lock(&self.shared.writer);
        let number = writer.number();
        let memory = [&of_state, &batch.attachments].map(|memory| writer.number_memory(memory));
        match &mut *lock(&self.shared.waiting) {
            Ok(waiting) => waiting.insert(number, (batch.completion, batch.attachments)),
            Err(reason) => return Err(Error::dask(reason)),
        };
        let packer = lock(&self.shared.packer);
        let mut frames: Vec<_> = packer.frames_from(writer.images_sent).collect();
        writer.images_sent += frames.len();
        if batch.needs_state && !std::mem::replace(&mut writer.is_state_sent, true) {
            frames.extend(packer.state.clone());
        }
        drop(packer);
        let head = JobHead { number, needs_state: batch.needs_state, limit, memory };
        frames.push(Arc::new(head.frame_around(&batch.frame)));
        frames.push(batch.frame);
        for frame in frames {
            writer.send(&frame);
        }
        Ok(())
    }
}

impl Workers for Cluster {
    fn is_forked(&self) -> bool {
        self.listener.is_forked()
    }

    fn stop_unwanted(&self) -> bool {
        if self.is_forked() {
            return true;
        }
        let mut numbers = Vec::new();
        if let Ok(waiting) = &mut *lock(&self.shared.waiting) {
            waiting.retain(|number, (completion, _)| {
                let is_wanted = completion.is_wanted();
                if !is_wanted {
                    numbers.push(*number);
                }
                is_wanted
            });
        }
        if !numbers.is_empty() {
            lock(&self.shared.writer).send(&protocol::list(Kind::Cancel, &numbers));
        }
        true
    }

    fn shares_memory(&self) -> bool {
        false
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.listener.end(|| lock(&self.shared.writer).close());
    }
}
