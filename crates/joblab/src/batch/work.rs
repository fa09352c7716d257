//! A batch's tasks with their types, behind traits of which each call has one object for a batch:
//! everything else that carries, runs or counts tasks is compiled once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{thread, vec};

use super::arguments::ArgumentWriter;
use super::completion::{CallShared, Completion, Finished, Results};
use super::function::{Function, PackedState};
use super::runner::{Recorder, resume};
use crate::codec::{PART, Sink, WriteParts};
use crate::error::{Error, drop_quietly};
use crate::measure::Laps;
use crate::os::thread_name;
use crate::shared::{self, Attachments};
use crate::task::Data;

/// Tasks that a thread of this process can run.
pub(crate) trait Work: Send {
    /// Runs the tasks that have not begun, and tells the recorder of each. A task's panic comes
    /// through.
    fn run(&mut self, recorder: &mut Recorder<'_>);

    /// The results of those that returned, a `vec::IntoIter` in the order of the tasks.
    fn take_results(&mut self) -> Results;
}

/// Tasks that another process can run too.
pub(crate) trait Portable: Work {
    /// The addresses of the tasks' function and of its trampoline in this process.
    fn addresses(&self) -> (usize, usize);

    /// How a worker process makes the state that the function needs.
    fn state(&self) -> Option<PackedState>;

    /// Writes the arguments down. The error says why serde refuses one.
    fn write(&self, arguments: &mut ArgumentWriter<'_>) -> Result<(), String>;
}

/// Tasks of one function.
pub(crate) struct Batch<F, A, R> {
    pub(crate) function: F,
    pub(crate) arguments: vec::IntoIter<A>,
    pub(crate) results: Vec<R>,
}

impl<F: Function<A, R>, A: Data, R: Data> Work for Batch<F, A, R> {
    fn run(&mut self, recorder: &mut Recorder<'_>) {
        self.function.run(&mut self.arguments, &mut self.results, recorder);
    }

    fn take_results(&mut self) -> Results {
        Box::new(std::mem::take(&mut self.results).into_iter())
    }
}

impl<F: Function<A, R>, A: Data, R: Data> Portable for Batch<F, A, R> {
    fn addresses(&self) -> (usize, usize) {
        (self.function.address(), self.function.trampoline())
    }

    fn state(&self) -> Option<PackedState> {
        self.function.state()
    }

    fn write(&self, arguments: &mut ArgumentWriter<'_>) -> Result<(), String> {
        arguments.write(self.arguments.as_slice())
    }
}

/// Runs tasks in this thread, if they are still wanted, and tells their call. Never panics.
pub(crate) fn run(mut work: Box<dyn Work + '_>, completion: Completion) {
    // Should the drop of what the user made panic, nobody is left to be told.
    let run = AssertUnwindSafe(|| {
        if completion.is_wanted() {
            let shared = std::sync::Arc::clone(completion.call());
            let CallShared { rules, cancelled, pid, .. } = &*shared;
            let _entered = rules.nesting.enter();
            let laps = Laps::start_in_thread(completion.places().len());
            let mut recorder = Recorder::new(rules, laps, Some(cancelled));
            resume(&mut recorder, &mut |recorder| work.run(recorder));
            completion.ended(Finished {
                outcomes: recorder.finish(),
                results: work.take_results(),
                pid: *pid,
                thread: thread_name().into(),
                thread_id: Some(thread::current().id()),
            });
        }
        drop(work);
    });
    if let Err(payload) = catch_unwind(run) {
        drop_quietly(payload);
    }
}

/// A batch of tasks as plain bytes and addresses of this process.
pub(crate) struct Packed {
    pub(crate) message: Vec<u8>,
    pub(crate) function: usize,
    pub(crate) trampoline: usize,
    pub(crate) state: Option<PackedState>,
    /// Shared memory that is in the message, to be kept until that is answered.
    pub(crate) attachments: Attachments,
    /// Writes what follows the message in parts.
    pub(crate) parts: Option<WriteParts>,
    pub(crate) completion: Completion,
}

/// Writes tasks down for a worker in another process: appends them to `message`. Where the pool
/// `streams`, a large argument of the only task may be left to be written in parts.
///
/// # Errors
/// Where serde refuses an argument.
pub(crate) fn pack(
    work: Box<dyn Portable>,
    completion: Completion,
    mut message: Vec<u8>,
    streams: bool,
) -> Result<Packed, Error> {
    let (function, trampoline) = work.addresses();
    let state = work.state();
    completion.call().rules.write(&mut message);
    let start = message.len();
    let is_only = streams && completion.places().len() == 1;
    let sink = if is_only { Sink::of_one_part(&mut message) } else { Sink::growing(&mut message) };
    let mut writer = ArgumentWriter::new(sink);
    let (mut attachments, mut parts) = (Vec::new(), None);
    let written = shared::collecting(&mut attachments, || work.write(&mut writer));
    match written {
        Ok(()) => drop_quietly(work),
        Err(_) if writer.is_full() => {
            attachments.clear();
            message.truncate(start);
            // A length of nothing: the argument follows.
            message.extend([0; 8]);
            parts = Some(in_parts(work));
        }
        Err(reason) => {
            let place = completion.places().start + writer.written();
            return Err(Error::argument(completion.call().order.index(place), reason));
        }
    }
    Ok(Packed { message, function, trampoline, state, attachments, parts, completion })
}

/// The only argument of a batch, in parts.
fn in_parts(work: Box<dyn Portable>) -> WriteParts {
    Box::new(move |send| {
        let (mut part, mut attachments) = (Vec::with_capacity(PART), Vec::new());
        let mut writer = ArgumentWriter::without_length(Sink::sending(&mut part, send));
        shared::collecting(&mut attachments, || {
            work.write(&mut writer)?;
            writer.finish().map_err(|error| error.to_string())
        })?;
        // The worker has it all meanwhile, and to give back much memory takes its time.
        drop_quietly(work);
        Ok(())
    })
}
