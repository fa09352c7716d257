//! Batches: tasks of one function that travel to a worker together, how they are run and measured,
//! and how they are written down for a worker in another process.
//!
//! What is generic here is compiled again in every notebook cell that calls a function of another
//! type: [`work`] and [`function`] are thin, and the rest knows no types of tasks.

mod arguments;
mod completion;
mod encoding;
mod function;
mod journal;
mod nesting;
mod order;
mod runner;
mod state;
mod work;
mod written_batch;

use std::time::Duration;

pub(crate) use self::arguments::without_first;
pub(crate) use self::completion::{
    BatchEnd, CallShared, Completion, Death, Event, Finished, RemoteWorker, Reply, Results,
};
pub(crate) use self::encoding::{ResultReader, message_of};
pub(crate) use self::function::{
    Fallible, Function, InWorker, PackedState, call_trampoline, make_state,
};
pub(crate) use self::journal::{Journal, JournalReader, WorkerProgress};
pub(crate) use self::nesting::{MAX_DEPTH, Nesting};
pub(crate) use self::order::Order;
pub(crate) use self::runner::{Failure, Outcomes, Recorder, Rules, run_each};
pub(crate) use self::state::{State, Stateful};
pub(crate) use self::work::{Batch, Packed, Portable, Work, pack, run};
pub(crate) use self::written_batch::Incoming;

/// A batch is short where its worker would wait a good part of that time for the next one, which three
/// threads without a CPU of their own bring: the pool's, the caller's, and the pool's again.
pub(crate) const SHORT: Duration = Duration::from_millis(5);
