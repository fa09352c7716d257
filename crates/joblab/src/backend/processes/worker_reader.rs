//! What a worker process answers, as its parent reads it.

use std::sync::Arc;

use super::worker_handle::WorkerHandle;
use crate::backend::remote::framing::{self, Broken, Decoder, Kind};
use crate::backend::remote::packing::PackedBatch;
use crate::backend::remote::protocol::ReplyRead;
use crate::backend::remote::socket::Socket;
use crate::batch::{RemoteWorker, Reply};
use crate::error::Error;
use crate::measure::Moment;
use crate::os;
use crate::shared::Files;

impl WorkerHandle {
    /// Reads and passes on what came in before the process ended, and says how that was. Others that
    /// a task has started may hold its socket open.
    pub(super) fn read_the_last(&mut self) -> String {
        match self.read_until(|_| false) {
            Ok(()) => self.end(),
            Err(how) => how,
        }
    }

    /// Reads and passes on all answers that have come in. The error says how the process ended.
    pub(super) fn read(&mut self) -> Result<(), String> {
        // What comes later is told of later: asking for it would cost as much as an answer.
        self.read_until(Decoder::is_drained)
    }

    /// Does so until there is nothing more, or that is enough.
    fn read_until(&mut self, is_enough: impl Fn(&Decoder<Socket>) -> bool) -> Result<(), String> {
        let mut messages = Vec::new();
        let end = loop {
            match self.decoder.next() {
                Ok(None) => break None,
                Ok(Some((Kind::Hello, stamp))) if !self.is_ready => {
                    if stamp != os::program_stamp() {
                        return Err(self.of_another_build());
                    }
                    self.is_ready = true;
                }
                Ok(Some((Kind::Files, body))) => match self.decoder.get_mut().take_files(&body) {
                    Some(files) => self.files.extend(files),
                    None => break Some(Broken::Foreign("it announces files that did not come")),
                },
                Ok(Some((Kind::Reply, last))) => {
                    let message = self.long_replies.end(last);
                    if let Some(lane) = self.long_replies.new_lane(&message) {
                        self.send_file(Arc::clone(lane.segment()), Kind::ReplyLane);
                    }
                    messages.push((message, std::mem::take(&mut self.files)));
                }
                Ok(Some((kind, body))) if self.long_replies.take(kind, &body) => {}
                Ok(Some(_)) => {
                    break Some(Broken::Foreign(
                        "it is of a kind, or in a place, that no worker sends",
                    ));
                }
                Err(broken) => break Some(broken),
            }
            if is_enough(&self.decoder) {
                break None;
            }
        };
        self.pass_on(messages)?;
        match end {
            None => Ok(()),
            Some(Broken::Closed) => Err(self.end()),
            Some(Broken::Foreign(what)) => {
                Err(self.confused(&format!("something else wrote to its private socket: {what}")))
            }
            Some(Broken::Io(error)) => Err(self.confused(&error.to_string())),
        }
    }

    /// Passes on the answers to the oldest batches.
    fn pass_on(&mut self, messages: Vec<(Vec<u8>, Files)>) -> Result<(), String> {
        if messages.is_empty() {
            return Ok(());
        }
        // What the batches printed was written before their answers were. A line that the last one
        // left open goes on with what the next one prints, if that is under way.
        let is_idle = self.batches.len() <= messages.len();
        if os::is_readable([self.stdout.pipe(), self.stderr.pipe()]) {
            self.stdout.catch_up(false);
            self.stderr.catch_up(false);
        }
        if is_idle {
            self.stdout.end_line();
            self.stderr.end_line();
        }
        for (message, files) in messages {
            let Some(batch) = self.batches.pop_front() else {
                return Err(self.confused("it answered a batch that it had not been given"));
            };
            self.answered += 1;
            let is_next_sent = !self.batches.is_empty() && self.outbox.is_empty();
            self.running_since = is_next_sent.then(Moment::now);
            if let Err(batch) = self.answer(batch, message, files) {
                self.batches.push_front(batch);
                self.answered -= 1;
                return Err(self.confused("its answer could not be read"));
            }
        }
        Ok(())
    }

    /// Reports an answer to the call that awaits it, or gives the batch back.
    fn answer(
        &mut self,
        batch: PackedBatch,
        message: Vec<u8>,
        files: Files,
    ) -> Result<(), PackedBatch> {
        if let Some(error) = self.torn.take() {
            self.after_output(|| batch.into_completion().failed(error));
            return Ok(());
        }
        match ReplyRead::read(&message) {
            Some(ReplyRead::Done { wall, outcomes, files: count }) if count == files.len() => {
                self.last_wall = wall;
                self.last_call = Arc::downgrade(batch.completion.call());
                if !files.is_empty() {
                    self.outbox.send(Arc::new(framing::frame(Kind::Taken, &[])));
                    self.write();
                }
                let worker = RemoteWorker::process(self.pid());
                let reply = Reply { worker, message, outcomes, files };
                self.after_output(|| batch.into_completion().replied(reply));
            }
            Some(ReplyRead::NoFunction(reason)) => {
                let first = batch.completion.first();
                batch.into_completion().failed(Error::function(first, reason));
            }
            Some(ReplyRead::Done { .. }) | None => return Err(batch),
        }
        Ok(())
    }

    /// Ends a worker whose program's file was replaced since ours was started, so that functions are
    /// elsewhere in it.
    fn of_another_build(&mut self) -> String {
        self.end();
        "was stopped because the program was built anew since it was started (start it again)"
            .to_owned()
    }

    /// Ends a worker that is not to be trusted any more.
    fn confused(&mut self, what: &str) -> String {
        self.end();
        format!("was stopped because {what}")
    }
}
