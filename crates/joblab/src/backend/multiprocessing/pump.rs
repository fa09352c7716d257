//! The I/O thread: carries batches to workers and answers back, starts workers and replaces them.
//! It waits in one place for everything at once, and never polls.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::child::Worker;
use super::sys::{self, Interest};
use super::{Parcel, Shared, is_evcxr, lock};
use crate::cpus::cpu_count;
use crate::error::Error;

/// How long a task whose call has failed may go on before its worker is stopped: a worker that is
/// about to be free is worth more than a new one.
const GRACE: Duration = Duration::from_millis(20);

/// Works until the pool is dropped; then the workers end with it.
pub(super) fn run(n_jobs: usize, shared: &Shared, bell: UnixStream) {
    let pump = Pump {
        n_jobs,
        shared,
        is_evcxr: is_evcxr(),
        waiting: VecDeque::new(),
        workers: Vec::new(),
    };
    // However this ends, nobody may wait for an answer that will not come.
    let _closes = CloseInbox(shared);
    pump.work(bell);
}

struct CloseInbox<'a>(&'a Shared);

impl Drop for CloseInbox<'_> {
    fn drop(&mut self) {
        let mut inbox = lock(&self.0.inbox);
        inbox.closing = true;
        // Callers learn of it as the parcels, with their ways home, are dropped.
        inbox.parcels.clear();
    }
}

struct Pump<'a> {
    n_jobs: usize,
    shared: &'a Shared,
    is_evcxr: bool,
    waiting: VecDeque<Parcel>,
    workers: Vec<Worker>,
}

/// Whom a file belongs to: a worker, by its place, or the bell, or the kernel.
#[derive(Clone, Copy)]
enum Source {
    Bell,
    Kernel,
    Socket(usize),
    Stdout(usize),
    Stderr(usize),
}

impl Pump<'_> {
    fn work(mut self, mut bell: UnixStream) {
        while self.collect() {
            self.hand_out();
            let overdue = self.next_overdue();
            let sources = match self.wait(&bell, overdue) {
                Ok(sources) => sources,
                // Nothing can be done without waiting: the callers learn that the pool is lost.
                Err(_) => return,
            };
            let mut gone = Vec::new();
            for source in sources {
                match source {
                    // The notebook's kernel is gone, and the cell that runs would only find out at
                    // its end. Nobody can see its outcome: this process ends, and its workers
                    // with it.
                    Source::Kernel => sys::exit_now(0),
                    Source::Bell => while bell.read(&mut [0; 64]).is_ok_and(|read| read > 0) {},
                    Source::Stdout(place) => self.workers[place].stdout.pass_on(),
                    Source::Stderr(place) => self.workers[place].stderr.pass_on(),
                    Source::Socket(place) => {
                        let worker = &mut self.workers[place];
                        worker.write();
                        if let Err(how) = worker.read() {
                            gone.push((place, how));
                        }
                    }
                }
            }
            // From the last to the first, so that the places before stay what they are.
            for (place, how) in gone.into_iter().rev() {
                self.bury(place, &how);
            }
            self.stop_overdue();
        }
    }

    /// Takes in what callers have sent. False when the pool is dropped.
    fn collect(&mut self) -> bool {
        let mut inbox = lock(&self.shared.inbox);
        inbox.rung = false;
        self.waiting.append(&mut inbox.parcels);
        !inbox.closing
    }

    /// Gives waiting batches to workers: first to those that have nothing to do, then to new ones, and
    /// what is left ahead of time to those that do short ones.
    fn hand_out(&mut self) {
        self.waiting.retain(|parcel| parcel.answer.is_wanted());
        while !self.waiting.is_empty() {
            let starting = self
                .workers
                .iter()
                .filter(|worker| !worker.is_ready)
                .count();
            let spare = self.waiting.len().saturating_sub(starting);
            let may_grow = spare > 0 && self.workers.len() < self.n_jobs;
            let with_room = self.workers.iter_mut().filter(|worker| worker.room() > 0);
            match with_room.min_by_key(|worker| worker.batches.len()) {
                Some(worker) if worker.batches.is_empty() => {
                    send_next(&mut self.waiting, worker, self.shared);
                }
                _ if may_grow => self.start_worker(),
                Some(worker) if spare > 0 => {
                    send_next(&mut self.waiting, worker, self.shared);
                }
                _ => return,
            }
        }
    }

    /// Starts a worker, or tells the call that waits longest that it cannot be had.
    fn start_worker(&mut self) {
        let number = (0..)
            .find(|number| self.workers.iter().all(|worker| worker.number != *number))
            .expect("there are more numbers than workers");
        let threads = (cpu_count() / self.n_jobs).max(1);
        match Worker::start(number, threads) {
            Ok(worker) => self.workers.push(worker),
            Err(reason) => self.refuse_one(Error::pool(self.n_jobs, reason)),
        }
    }

    /// Fails the call of the batch that waits longest, and with it all of the call's batches.
    fn refuse_one(&mut self, error: Error) {
        if let Some(parcel) = self.waiting.pop_front() {
            parcel.answer.failed(error);
        }
    }

    /// Waits for anything to happen, or for the given time, and tells what did.
    fn wait(&self, bell: &UnixStream, most: Option<Duration>) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Bell];
        let mut files = vec![(bell.as_fd(), Interest::Read)];
        let kernel = io::stdin();
        if self.is_evcxr {
            // evcxr's runtime gets its orders from the kernel on standard input.
            sources.push(Source::Kernel);
            files.push((kernel.as_fd(), Interest::HangUp));
        }
        for (place, worker) in self.workers.iter().enumerate() {
            let interest = if worker.has_to_write() {
                Interest::ReadAndWrite
            } else {
                Interest::Read
            };
            sources.push(Source::Socket(place));
            files.push((worker.socket().as_fd(), interest));
            for (source, file) in [
                (Source::Stdout(place), worker.stdout.file()),
                (Source::Stderr(place), worker.stderr.file()),
            ] {
                if let Some(file) = file {
                    sources.push(source);
                    files.push((file, Interest::Read));
                }
            }
        }
        let ready = sys::wait(&files, most)?;
        Ok(sources
            .into_iter()
            .zip(ready)
            .filter_map(|(source, ready)| ready.then_some(source))
            .collect())
    }

    /// Removes a worker that has ended, and says so to whom it concerns: the batch that it ran is
    /// answered, batches behind it wait for another worker.
    fn bury(&mut self, place: usize, how: &str) {
        let mut worker = self.workers.remove(place);
        if !worker.is_ready {
            self.refuse_one(Error::start(format!("it {how} before it was ready")));
        }
        if let Some(parcel) = worker.batches.pop_front() {
            let error = Error::died(parcel.answer.tasks(), worker.pid(), how.to_owned());
            parcel.answer.failed(error);
        }
        for parcel in worker.batches.drain(..).rev() {
            self.waiting.push_front(parcel);
        }
    }

    /// How long until the first worker has to be stopped.
    fn next_overdue(&mut self) -> Option<Duration> {
        let left = |worker: &mut Worker| Some(GRACE.saturating_sub(worker.unwanted_for()?));
        self.workers.iter_mut().filter_map(left).min()
    }

    /// Stops workers that went on too long with a task that nobody wants any more.
    fn stop_overdue(&mut self) {
        for place in (0..self.workers.len()).rev() {
            let worker = &mut self.workers[place];
            if worker.unwanted_for().is_some_and(|time| time >= GRACE) {
                worker.end();
                self.bury(place, "was stopped");
            }
        }
    }
}

fn send_next(waiting: &mut VecDeque<Parcel>, worker: &mut Worker, shared: &Shared) {
    if let Some(parcel) = waiting.pop_front() {
        worker.assign(parcel, &lock(&shared.shipping));
        worker.write();
    }
}
