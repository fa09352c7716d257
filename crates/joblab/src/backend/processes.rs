//! A pool of processes, each the running program started again.
//!
//! ```text
//!  calling thread            I/O thread of the pool             worker process
//!  --------------            ----------------------             --------------
//!  argument to bytes  --->   waiting batches
//!                            the next free worker     ------>   finds the function by
//!                                                      socket   image and offset, calls it
//!  result from bytes  <---   its batch's completion   <------   result to bytes
//!                            whole lines to our own   <------   what the task prints
//!                            stdout and stderr          pipes
//! ```
//!
//! A worker's standard input is a private socket, which carries [frames](super::remote::framing) both
//! ways. When the parent is gone, in whatever way, the system closes the socket, and the worker ends
//! at once.

mod ends;
mod inbox;
mod io_thread;
mod launch;
mod outbox;
mod pool;
mod streaming;
mod worker_handle;
mod worker_reader;

pub(super) use self::pool::Processes;
