//! The I/O thread: carries batches to workers and answers back, starts workers and replaces them.
//! It waits in one place for everything at once.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::ends::{End, after_death, stopped};
use super::inbox::PoolShared;
use super::launch::Launch;
use super::worker_handle::WorkerHandle;
use crate::backend::remote::packing::PackedBatch;
use crate::backend::remote::printer::Printer;
use crate::error::Error;
use crate::measure::Moment;
use crate::notebook::facts::{end_without_kernel, kernel};
use crate::os::{self, Interest, PARENT_ENDS, ParentWatch, lock};

/// How long workers may take to drop their states.
const FINISH: Duration = Duration::from_secs(5);
/// How often this thread looks for what no file tells of.
const TICK: Duration = Duration::from_millis(50);
/// Works until the pool is dropped; then the workers end with it.
pub(super) fn run(
    n_jobs: usize,
    launch: &Launch,
    shared: &PoolShared,
    woken: UnixStream,
    printer: Arc<Printer>,
) {
    os::block_write_signals();
    let thread = IoThread {
        n_jobs,
        launch,
        shared,
        last_ready: None,
        kernel: kernel(),
        waiting: VecDeque::new(),
        workers: Vec::new(),
        printer,
    };
    // However this ends, nobody may wait for an answer that will not come.
    let _closes = CloseInbox(shared);
    thread.work(woken);
}

struct CloseInbox<'a>(&'a PoolShared);

impl Drop for CloseInbox<'_> {
    fn drop(&mut self) {
        let mut inbox = lock(&self.0.inbox);
        inbox.closing = true;
        // Callers learn of it as the batches, with their completions, are dropped.
        inbox.batches.clear();
    }
}

struct IoThread<'a> {
    n_jobs: usize,
    launch: &'a Launch,
    shared: &'a PoolShared,
    /// When a worker has become ready: those that are starting share the CPUs.
    last_ready: Option<Moment>,
    kernel: Option<ParentWatch>,
    waiting: VecDeque<PackedBatch>,
    workers: Vec<WorkerHandle>,
    printer: Arc<Printer>,
}

/// Whom a file belongs to: a worker, by its place, or who wakes this thread, or the kernel, or
/// who writes the output.
#[derive(Clone, Copy)]
enum Ready {
    Woken,
    Kernel,
    Printer,
    Socket(usize),
    Ended(usize),
    Stdout(usize),
    Stderr(usize),
}

impl IoThread<'_> {
    fn work(mut self, mut woken: UnixStream) {
        while self.collect() {
            // Callers have written more of large arguments, or the last of one: then its worker has
            // room again.
            for worker in &mut self.workers {
                worker.collect_pieces();
            }
            self.hand_out();
            for worker in &mut self.workers {
                worker.write();
            }
            let overdue = self.next_overdue();
            let sources = match self.wait(&woken, overdue) {
                Ok(sources) => sources,
                // Nothing can be done without waiting: the callers learn that the pool is lost.
                Err(_) => return,
            };
            let mut gone: Vec<(usize, String)> = Vec::new();
            for source in sources {
                match source {
                    Ready::Socket(place) => {
                        let worker = &mut self.workers[place];
                        let was_ready = worker.is_ready;
                        worker.write();
                        if let Err(how) = worker.read() {
                            gone.push((place, how));
                        }
                        if worker.is_ready && !was_ready {
                            self.last_ready = Some(Moment::now());
                        }
                    }
                    Ready::Ended(place) if gone.iter().any(|(other, _)| *other == place) => {}
                    Ready::Ended(place) => gone.push((place, self.workers[place].read_the_last())),
                    other => self.take_in(other, &mut woken),
                }
            }
            for (place, worker) in self.workers.iter_mut().enumerate() {
                if worker.has_ended() && !gone.iter().any(|(other, _)| *other == place) {
                    gone.push((place, worker.read_the_last()));
                }
            }
            gone.sort_unstable_by_key(|(place, _)| *place);
            // From the last to the first, so that the places before stay what they are.
            for (place, how) in gone.into_iter().rev() {
                self.remove_worker(place, &End::Died(how));
            }
            self.stop_overdue();
            self.stop_late_starter();
        }
        self.finish(&mut woken);
    }

    /// Takes in what is no answer and no end of a worker.
    fn take_in(&mut self, ready: Ready, woken: &mut UnixStream) {
        match ready {
            Ready::Kernel => end_without_kernel(),
            // Should there be more, the next wait tells.
            Ready::Woken => drop(woken.read(&mut [0; 64])),
            Ready::Printer => self.printer.take_news(),
            Ready::Stdout(place) => self.workers[place].stdout.pass_on(),
            Ready::Stderr(place) => self.workers[place].stderr.pass_on(),
            Ready::Socket(_) | Ready::Ended(_) => {}
        }
    }

    /// Lets workers drop their states, and ends all others at once.
    fn finish(&mut self, woken: &mut UnixStream) {
        self.workers.retain_mut(WorkerHandle::finish);
        let since = Moment::now();
        while !self.workers.is_empty() && since.elapsed() < FINISH {
            let left = FINISH.saturating_sub(since.elapsed());
            let Ok(sources) = self.wait(woken, Some(left.min(TICK))) else { return };
            sources.into_iter().for_each(|source| self.take_in(source, woken));
            self.workers.retain_mut(|worker| {
                worker.write();
                let goes_on = worker.goes_on();
                if !goes_on {
                    worker.end();
                }
                goes_on
            });
        }
    }

    /// Takes in what callers have sent. False when the pool is dropped.
    fn collect(&mut self) -> bool {
        let mut inbox = lock(&self.shared.inbox);
        inbox.is_woken = false;
        self.waiting.append(&mut inbox.batches);
        if std::mem::take(&mut inbox.has_unwanted) {
            self.waiting.retain(|batch| batch.completion.is_wanted());
        }
        !inbox.closing
    }

    /// Gives waiting batches to workers: first to those that have nothing to do, then to new ones, and
    /// what is left ahead of time to those that do short ones.
    fn hand_out(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let edition = lock(&self.shared.packer).edition();
        self.workers.retain(|worker| !worker.is_outdated(edition));
        while let Some(next) = self.waiting.front() {
            let call = Arc::clone(next.completion.call());
            let starting = self.workers.iter().filter(|worker| !worker.is_ready).count();
            let spare = self.waiting.len().saturating_sub(starting);
            let may_grow = spare > 0 && self.workers.len() < self.n_jobs;
            let with_room =
                self.workers.iter_mut().filter(|worker| worker.room(edition, &call) > 0);
            match with_room.min_by_key(|worker| worker.batches.len()) {
                Some(worker) if worker.batches.is_empty() => {
                    send_next(&mut self.waiting, worker, self.shared);
                }
                _ if may_grow => self.start_worker(starting, edition),
                // Parts are not kept: should the worker die, they could not go to another one.
                Some(worker) if spare > 0 && self.waiting[0].pieces.is_none() => {
                    send_next(&mut self.waiting, worker, self.shared);
                }
                _ => return,
            }
        }
    }

    /// Starts a worker for a waiting batch, by its place, or tells its call that it cannot be had.
    fn start_worker(&mut self, batch: usize, edition: u64) {
        let number = (0..)
            .find(|number| self.workers.iter().all(|worker| worker.number != *number))
            .expect("there are more numbers than workers");
        let batch_of_it = &self.waiting[batch];
        match WorkerHandle::start(self.launch, number, edition, batch_of_it, &self.printer) {
            Ok(worker) => self.workers.push(worker),
            Err(reason) => self.refuse(batch, Error::pool(self.n_jobs, reason)),
        }
    }

    /// Fails a waiting batch, and with it its call and all of the call's batches.
    fn refuse(&mut self, place: usize, error: Error) {
        if let Some(batch) = self.waiting.remove(place) {
            batch.into_completion().failed(error);
        }
    }

    /// Waits for anything to happen, or for the given time, and tells what did.
    fn wait(&self, woken: &UnixStream, most: Option<Duration>) -> io::Result<Vec<Ready>> {
        let mut sources = vec![Ready::Woken, Ready::Printer];
        let mut files =
            vec![(woken.as_fd(), Interest::Read), (self.printer.news(), Interest::Read)];
        if let Some(kernel) = &self.kernel {
            sources.push(Ready::Kernel);
            files.push((kernel.as_fd(), PARENT_ENDS));
        }
        for (place, worker) in self.workers.iter().enumerate() {
            let interest = if worker.outbox.waits_for_room() {
                Interest::ReadAndWrite
            } else {
                Interest::Read
            };
            sources.push(Ready::Socket(place));
            files.push((worker.socket().as_fd(), interest));
            if let Some(file) = worker.ended() {
                sources.push(Ready::Ended(place));
                files.push((file, Interest::Read));
            }
            for (source, file) in [
                (Ready::Stdout(place), worker.stdout.file()),
                (Ready::Stderr(place), worker.stderr.file()),
            ] {
                if let Some(file) = file {
                    sources.push(source);
                    files.push((file, Interest::Read));
                }
            }
        }
        let ready = os::wait(&files, most)?;
        Ok(sources
            .into_iter()
            .zip(ready)
            .filter_map(|(source, ready)| ready.then_some(source))
            .collect())
    }

    /// Removes a worker that has ended, and says so to whom it concerns: the batch that it ran is
    /// answered, and what it had not begun waits for another worker.
    fn remove_worker(&mut self, place: usize, end: &End) {
        let mut worker = self.workers.remove(place);
        if !worker.is_ready {
            // If others have run its batch, nobody need know: the next one gets a worker of its own.
            let is_its = |batch: &PackedBatch| {
                std::ptr::eq(Arc::as_ptr(&batch.frame), worker.started_for.as_ptr())
            };
            if let Some(batch) = self.waiting.iter().position(is_its) {
                let how = end.in_words();
                self.refuse(batch, Error::start(format!("it {how} before it was ready")));
            }
        }
        let running = worker.batches.pop_front().and_then(|batch| match end {
            End::Died(how) => after_death(batch, &worker, how),
            End::Stopped(why) => {
                // Time is up, whether or not anybody reads what it has printed.
                let error = stopped(&batch.completion, worker.pid(), *why);
                batch.into_completion().failed(error);
                None
            }
        });
        let again = running.into_iter().chain(worker.batches.drain(..));
        let again: Vec<_> = again.filter(|batch| batch.completion.is_wanted()).collect();
        for batch in again.into_iter().rev() {
            self.waiting.push_front(batch);
        }
    }

    /// How long until the first worker has to be stopped, or written to again, or asked whether it
    /// has ended.
    fn next_overdue(&mut self) -> Option<Duration> {
        let left = |worker: &mut WorkerHandle| worker.time_left().map(|(left, _)| left);
        let late = self.workers.iter_mut().filter_map(left).min();
        let again = self.workers.iter().filter_map(|worker| worker.outbox.tries_again_in()).min();
        let is_silent = self.workers.iter().any(|worker| worker.ended().is_none());
        let times = late.into_iter().chain(again).chain(is_silent.then_some(TICK));
        times.chain(self.time_to_start()).min()
    }

    /// How much longer the worker that has been starting for the longest time may take.
    fn time_to_start(&self) -> Option<Duration> {
        let starting = self.workers.iter().filter_map(WorkerHandle::starting_for).max()?;
        let idle = self.last_ready.map_or(starting, |last| starting.min(last.elapsed()));
        Some(self.launch.patience.saturating_sub(idle))
    }

    /// Stops a worker that does not come to its start-up code.
    fn stop_late_starter(&mut self) {
        if self.time_to_start() != Some(Duration::ZERO) {
            return;
        }
        let oldest = (0..self.workers.len())
            .filter(|&place| !self.workers[place].is_ready)
            .max_by_key(|&place| self.workers[place].starting_for());
        if let Some(place) = oldest {
            self.workers[place].end();
            let how = format!(
                "was stopped, since what the program and its libraries do before `main` had not come \
                 to an end after {:?} (leave to `main` what takes so long),",
                self.launch.patience
            );
            self.remove_worker(place, &End::Died(how));
        }
    }

    /// Stops workers that went on too long with a task.
    fn stop_overdue(&mut self) {
        for place in (0..self.workers.len()).rev() {
            let worker = &mut self.workers[place];
            let Some((Duration::ZERO, _)) = worker.time_left() else {
                continue;
            };
            // It may have answered while this thread was busy with others.
            if let Err(how) = worker.read() {
                self.remove_worker(place, &End::Died(how));
                continue;
            }
            let Some((Duration::ZERO, why)) = worker.time_left() else {
                continue;
            };
            worker.end();
            self.remove_worker(place, &End::Stopped(why));
        }
    }
}

fn send_next(waiting: &mut VecDeque<PackedBatch>, worker: &mut WorkerHandle, shared: &PoolShared) {
    if let Some(batch) = waiting.pop_front() {
        let lane = shared.lane.get().and_then(Option::as_ref);
        worker.assign(batch, &lock(&shared.packer), lane);
    }
}
