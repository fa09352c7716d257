//! A Dask cluster: its own scheduler and workers, reached through Dask's own client.
//!
//! ```text
//!  calling thread       bridge: a Python process,        Dask worker      process of its own
//!  --------------       with a distributed.Client        -----------      ------------------
//!  argument to bytes -> ---- frames ----> a Dask task -> a thread   ----> the worker of
//!  result from bytes <- ---- frames <---- its future  <-            <---- `worker.rs`
//! ```
//!
//! The program, or a cell's library and the standard library that it links, travel as bytes, once to
//! each Dask worker. What goes over the wires between is Dask's, with Dask's configuration.

mod bridge;

use std::collections::HashMap;
use std::io::Write;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::shipping::Shipping;
use super::wire::{self, Kind};
use super::worker;
use crate::backend::{Answer, Job, Pool};
use crate::error::Error;
use crate::lock::lock;
use crate::segment::Segment;
use crate::travel::{Kept, Sent};
use crate::worker::is_evcxr;

/// Why shared memory does not come back.
const SHARED: &str = "shared memory is that of one machine: on a cluster tasks can read a \
                      SharedSlice, but not write to one or return it";

/// The cluster as its callers see it.
pub(super) struct Cluster {
    n_jobs: usize,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// What the calling threads and the one that listens to the bridge share.
struct Shared {
    shipping: Mutex<Shipping>,
    mouth: Mutex<Mouth>,
    /// The batches that have no answer yet, by number, or why there will be no more answers.
    waiting: Mutex<Result<Waiting, String>>,
    /// How many tasks the cluster runs at the same time.
    threads: AtomicUsize,
}

/// With the shared memory that their messages speak of.
type Waiting = HashMap<u64, (Box<dyn Answer>, Kept)>;

/// The way to the bridge.
struct Mouth {
    /// None when the pool is being dropped, so that the bridge ends.
    stdin: Option<ChildStdin>,
    images_sent: usize,
    is_state_sent: bool,
    next: u64,
    /// The shared memory that the cluster has copies of, by number, until its last owner here is gone.
    copied: HashMap<u64, Weak<Segment>>,
}

impl Cluster {
    /// Connects to a scheduler, or starts one here with `n_jobs` workers.
    pub(super) fn start(n_jobs: usize, scheduler: Option<&str>) -> Result<Self, Error> {
        let mut shipping = Shipping::default();
        let mut entry = "";
        // What has the worker's code comes first: the program, or a cell's library, and then the one
        // that this is linked with.
        let mut place = |address| shipping.place(address).map_err(Error::start);
        place(worker::entry_address())?;
        if is_evcxr() {
            place(std::process::abort as *const std::ffi::c_void as usize)?;
            entry = worker::ENTRY;
        }
        // It is at the workers before the first call's clock starts.
        let frames: Vec<_> = shipping.frames_from(0).collect();
        let scheduler = scheduler.unwrap_or_default();
        let (ear, stdin, threads) = bridge::start(scheduler, n_jobs, entry, &frames)?;
        let shared = Arc::new(Shared {
            shipping: Mutex::new(shipping),
            mouth: Mutex::new(Mouth {
                stdin: Some(stdin),
                images_sent: frames.len(),
                is_state_sent: false,
                next: 0,
                copied: HashMap::new(),
            }),
            waiting: Mutex::new(Ok(HashMap::new())),
            threads: AtomicUsize::new(threads),
        });
        let theirs = Arc::clone(&shared);
        let listener = std::thread::Builder::new()
            .name("joblab-dask".to_owned())
            .spawn(move || ear.listen(&theirs))
            .map_err(|error| Error::pool(n_jobs, error))?;
        Ok(Cluster { n_jobs, shared, listener: Some(listener) })
    }
}

impl Pool for Cluster {
    fn n_workers(&self) -> usize {
        let threads = self.shared.threads.load(Ordering::Relaxed);
        threads.clamp(1, self.n_jobs)
    }

    /// A Dask task costs some milliseconds where the scheduler shares its CPUs with the workers.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        let (mut parcel, _) = Shipping::pack(&self.shared.shipping, job, false)?;
        if parcel.needs_state {
            parcel.kept.extend_from_slice(&lock(&self.shared.shipping).state_kept);
        }
        if parcel.kept.iter().any(|sent| sent.written.is_some()) {
            return Err(Error::argument(parcel.answer.tasks().start, SHARED));
        }
        let limit = parcel.answer.time_limit().unwrap_or_default();
        let mut mouth = lock(&self.shared.mouth);
        let number = mouth.number();
        let memory = mouth.number_memory(&parcel.kept);
        match &mut *lock(&self.shared.waiting) {
            Ok(waiting) => waiting.insert(number, (parcel.answer, parcel.kept)),
            Err(reason) => return Err(Error::dask(reason)),
        };
        let shipping = lock(&self.shared.shipping);
        let mut frames: Vec<_> = shipping.frames_from(mouth.images_sent).collect();
        mouth.images_sent += frames.len();
        if parcel.needs_state && !std::mem::replace(&mut mouth.is_state_sent, true) {
            frames.extend(shipping.state.clone());
        }
        drop(shipping);
        let limit = limit.as_nanos().try_into().unwrap_or(u64::MAX);
        let mut head = vec![number, parcel.needs_state.into(), limit, memory.len() as u64];
        head.extend(memory.into_iter().flatten());
        frames.push(Arc::new(wire::around(Kind::Job, &head, &parcel.frame)));
        frames.push(parcel.frame);
        for frame in frames {
            mouth.say(&frame);
        }
        Ok(())
    }

    fn stop_unwanted(&self) -> bool {
        let mut numbers = Vec::new();
        if let Ok(waiting) = &mut *lock(&self.shared.waiting) {
            waiting.retain(|number, (answer, _)| {
                let is_wanted = answer.is_wanted();
                if !is_wanted {
                    numbers.push(*number);
                }
                is_wanted
            });
        }
        if !numbers.is_empty() {
            lock(&self.shared.mouth).say(&wire::around(Kind::Cancel, &numbers, &[]));
        }
        true
    }

    fn shares_memory(&self) -> bool {
        false
    }
}

impl Mouth {
    /// A number that nothing else has.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Number, descriptor and size of a message's shared memory, each once. The numbers are those under
    /// which the bridge knows it; it learns of what is gone.
    fn number_memory(&mut self, kept: &Kept) -> Vec<[u64; 3]> {
        let is_gone = |_: &u64, segment: &mut Weak<Segment>| segment.strong_count() == 0;
        let gone: Vec<u64> = self.copied.extract_if(is_gone).map(|(number, _)| number).collect();
        if !gone.is_empty() {
            self.say(&wire::around(Kind::Forget, &gone, &[]));
        }
        let mut memory: Vec<[u64; 3]> = Vec::new();
        for Sent { segment, .. } in kept {
            let is_it = |known: &Weak<Segment>| known.as_ptr() == Arc::as_ptr(segment);
            let known = self.copied.iter().find(|(_, known)| is_it(known));
            let number = known.map(|(number, _)| *number).unwrap_or_else(|| {
                let number = self.number();
                self.copied.insert(number, Arc::downgrade(segment));
                number
            });
            let entry = [number, segment.descriptor() as u64, segment.bytes() as u64];
            if !memory.contains(&entry) {
                memory.push(entry);
            }
        }
        memory
    }

    /// That the bridge has ended is found out by listening.
    fn say(&mut self, frame: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(frame);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        lock(&self.shared.mouth).stdin = None;
        if let Some(listener) = self.listener.take() {
            // A panic in there has been printed; there is nothing left to tidy up.
            let _ = listener.join();
        }
    }
}
