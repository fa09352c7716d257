//! The thread of a pool whose workers are other processes: it carries batches and answers.

use std::io;
use std::thread::{self, Builder, JoinHandle};

use crate::os::Origin;

pub(crate) struct PoolThread {
    thread: Option<JoinHandle<()>>,
    origin: Origin,
}

impl PoolThread {
    pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let thread = Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(PoolThread { thread: Some(thread), origin: Origin::here() })
    }

    /// Whether this process is a fork of the one that has the thread, and the workers.
    pub(crate) fn is_forked(&self) -> bool {
        self.origin.is_forked()
    }

    /// Waits for the thread's end, for which `close` asks it. A fork has neither the thread nor the
    /// workers, and leaves them alone. The error is the thread's panic, which has been printed.
    pub(crate) fn end(&mut self, close: impl FnOnce()) -> thread::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        if self.is_forked() {
            std::mem::forget(thread);
            return Ok(());
        }
        close();
        thread.join()
    }
}
