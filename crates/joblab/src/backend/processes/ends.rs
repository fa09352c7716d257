//! What becomes of the batches of a worker process that has ended.

use super::worker_handle::{Why, WorkerHandle};
use crate::backend::remote::packing::PackedBatch;
use crate::batch::{self, Completion, Death, RemoteWorker, Reply, WorkerProgress};
use crate::error::Error;

/// How often a batch is given to another worker, where its own died before it began.
const IN_VAIN: u32 = 2;

/// How a worker has ended.
pub(super) enum End {
    /// By itself, or by somebody else, in this way.
    Died(String),
    Stopped(Why),
}

impl End {
    pub(super) fn in_words(&self) -> &str {
        match self {
            End::Died(how) => how,
            End::Stopped(_) => "was stopped",
        }
    }
}

fn died(tasks: &[usize], pid: u32, how: &str) -> Error {
    Error::died(tasks, &format!("worker process {pid}"), how)
}

pub(super) fn stopped(batch: &Completion, pid: u32, why: Why) -> Error {
    match why {
        Why::Unwanted => died(&batch.indices(), pid, "was stopped"),
        Why::Late(limit) => {
            let end = format!("its worker process {pid} was stopped, and is replaced");
            Error::task_timeout(batch.first(), limit, &end)
        }
    }
}

/// Tells what became of the batch that a worker ran as it died, once its last words are out, which may
/// say why; and gives back what of it the worker had not begun.
pub(super) fn after_death(
    mut batch: PackedBatch,
    worker: &WorkerHandle,
    how: &str,
) -> Option<PackedBatch> {
    let (tasks, pid) = (batch.completion.indices(), worker.pid());
    let one = |place: usize| &tasks[place..place + 1];
    match worker.progress() {
        // What follows in parts is not kept. And where the mere arrival of a batch ends workers, there
        // has to be an end of that.
        WorkerProgress::NotBegun { prepares: false }
            if !batch.is_in_parts && batch.in_vain < IN_VAIN =>
        {
            batch.in_vain += 1;
            Some(batch)
        }
        WorkerProgress::NotBegun { .. } | WorkerProgress::Unknown => {
            let error = died(&tasks, pid, how);
            worker.after_output(|| batch.into_completion().failed(error));
            None
        }
        // The call is over with the first failure.
        WorkerProgress::Begun(begun) => {
            let error = died(one(begun.clamp(1, tasks.len()) - 1), pid, how);
            worker.after_output(|| batch.into_completion().failed(error));
            None
        }
        WorkerProgress::Noted { begun, ended: noted } => {
            let rest = batch.split_off(begun);
            let ended = noted.len();
            let error = (ended < begun).then(|| died(one(ended), pid, how));
            let reply = Reply {
                worker: RemoteWorker::process(pid),
                message: batch::message_of(&noted),
                outcomes: 0,
                files: Vec::new(),
            };
            let death = Death { ended, reply, error };
            worker.after_output(move || batch.into_completion().died(death));
            rest
        }
    }
}
