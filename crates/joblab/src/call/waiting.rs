//! How long a call's engine waits: for the next event, and not beyond the limits of the call.

use super::engine::Engine;
use crate::batch::Event;
use crate::error::Error;
use crate::os::spin;

impl Engine<'_> {
    /// Whether the call may go on.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.is_stopped() {
            return Ok(());
        }
        if let Some(token) = &self.options.cancel_token
            && token.is_cancelled()
        {
            return Err(Error::cancelled(self.counts.done));
        }
        match self.options.call_timeout {
            Some(limit) if self.began.elapsed() >= limit => {
                Err(Error::timeout("call_timeout", limit))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the next event, or until a limit of the call has passed. None where the call is
    /// stopped, and waits for nothing.
    pub(super) fn wait(&self) -> Result<Option<Event>, Error> {
        if self.leaves {
            return Ok(self.events.try_recv().ok());
        }
        if let Some(event) = spin(|| self.events.try_recv().ok()) {
            return Ok(Some(event));
        }
        if !self.is_stopped() {
            self.check_process()?;
        }
        let limits = [
            ("call_timeout", self.options.call_timeout, self.began),
            ("stall_timeout", self.options.stall_timeout, self.quiet_since),
        ];
        let next = limits
            .into_iter()
            .filter(|_| !self.is_stopped())
            .filter_map(|(name, limit, since)| {
                Some((limit? - since.elapsed().min(limit?), name, limit?))
            })
            .min();
        // The channel stays open: this call holds a sender itself.
        match next {
            None => Ok(self.events.recv().ok()),
            Some((left, name, limit)) => match self.events.recv_timeout(left) {
                Ok(event) => Ok(Some(event)),
                Err(_) => Err(Error::timeout(name, limit)),
            },
        }
    }
}
