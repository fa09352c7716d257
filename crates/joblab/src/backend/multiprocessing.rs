//! A pool of processes, each the running program started again.
//!
//! ```text
//!  calling thread            I/O thread of the pool             worker process
//!  --------------            ----------------------             --------------
//!  argument to bytes  --->   waiting parcels
//!                            the next free worker     ------>   finds the function by
//!                                                      socket   library and offset, calls it
//!  result from bytes  <---   its parcel's way home    <------   result to bytes
//!                            whole lines to our own   <------   what the task prints
//!                            stdout and stderr          pipes
//! ```
//!
//! A worker's standard input is a private socket, which carries [frames](wire) both ways. When the
//! parent is gone, in whatever way, the system closes the socket, and the worker ends at once.

mod child;
mod image;
mod lines;
mod pump;
mod sys;
mod wire;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::image::{Image, Place};
use self::wire::Kind;
use crate::backend::{Answer, Job, Packed, Pool};
use crate::error::Error;

/// The pool as its callers see it. The processes belong to its I/O thread.
pub(super) struct Processes {
    n_jobs: usize,
    shared: Arc<Shared>,
    pump: Option<JoinHandle<()>>,
}

/// What the calling threads and the I/O thread share.
struct Shared {
    inbox: Mutex<Inbox>,
    shipping: Mutex<Shipping>,
    /// A byte in here wakes the I/O thread.
    bell: UnixStream,
}

#[derive(Default)]
struct Inbox {
    parcels: VecDeque<Parcel>,
    /// Whether the bell has been rung since the I/O thread looked.
    rung: bool,
    /// Whether the pool is being dropped, or the I/O thread has ended: nothing is taken in then.
    closing: bool,
}

/// A batch of tasks on its way to a worker.
struct Parcel {
    frame: Arc<Vec<u8>>,
    answer: Box<dyn Answer>,
}

impl Processes {
    /// Starts the I/O thread; the workers start when there are tasks for them.
    pub(super) fn start(n_jobs: usize) -> Result<Self, Error> {
        if std::env::var_os(worker::VARIABLE).is_some() {
            return Err(Error::start(format!(
                "this process is a worker that has run into main, since its start-up code was not \
                 linked. Unset {} if you have set it yourself",
                worker::VARIABLE
            )));
        }
        let failed = |error: std::io::Error| Error::pool(n_jobs, error);
        let (bell, listener) = UnixStream::pair().map_err(failed)?;
        bell.set_nonblocking(true).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            shipping: Mutex::default(),
            bell,
        });
        let theirs = Arc::clone(&shared);
        let pump = std::thread::Builder::new()
            .name("joblab-pump".to_owned())
            .spawn(move || pump::run(n_jobs, &theirs, listener))
            .map_err(failed)?;
        Ok(Processes {
            n_jobs,
            shared,
            pump: Some(pump),
        })
    }
}

impl Pool for Processes {
    fn n_workers(&self) -> usize {
        self.n_jobs
    }

    /// More than threads need: what is on its way to a worker or back counts too.
    fn look_ahead(&self) -> usize {
        4 * self.n_jobs
    }

    /// A trip to a worker and back takes some 50 µs.
    fn batch_duration(&self) -> Option<Duration> {
        Some(Duration::from_millis(2))
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let mut frame = wire::begin(Kind::Batch);
        // Room for two places, which are known when the task is packed.
        frame.extend([0; 32]);
        let Packed {
            message: mut frame,
            function,
            trampoline,
            answer,
        } = job.pack(frame)?;
        let places = {
            let mut shipping = lock(&self.shared.shipping);
            [trampoline, function].map(|address| shipping.place(address))
        };
        for (nth, place) in places.into_iter().enumerate() {
            let place = place.map_err(|reason| Error::function(answer.tasks().start, reason))?;
            let at = wire::HEADER + 16 * nth;
            frame[at..at + 8].copy_from_slice(&place.image.to_le_bytes());
            frame[at + 8..at + 16].copy_from_slice(&place.offset.to_le_bytes());
        }
        wire::seal(&mut frame);
        let frame = Arc::new(frame);
        self.shared.send(|inbox| {
            if inbox.closing {
                return Err(Error::lost(answer.tasks().start));
            }
            inbox.parcels.push_back(Parcel { frame, answer });
            Ok(())
        })
    }

    fn stop_unwanted(&self) -> bool {
        self.shared.send(|_| {});
        true
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.shared.send(|inbox| inbox.closing = true);
        if let Some(pump) = self.pump.take() {
            // A panic in there has been printed; there is nothing left to tidy up.
            let _ = pump.join();
        }
    }
}

impl Shared {
    /// Changes the inbox and lets the I/O thread know.
    fn send<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut inbox = lock(&self.inbox);
        let changed = change(&mut inbox);
        let rung = std::mem::replace(&mut inbox.rung, true);
        drop(inbox);
        if !rung {
            // It can only fail where the bell has been rung so often that it rings anyway, or
            // where the I/O thread is gone.
            let _ = (&self.bell).write(&[1]);
        }
        changed
    }
}

/// Whether this process runs a notebook's cells, or is a worker of one that does: evcxr's kernel sets
/// the variable, and children inherit it.
fn is_evcxr() -> bool {
    std::env::var_os("EVCXR_IS_RUNTIME").is_some()
}

/// No code that can panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The images that tasks' functions live in, numbered in the order in which workers learn of them.
#[derive(Default)]
struct Shipping {
    images: Vec<Image>,
    frames: Vec<Arc<Vec<u8>>>,
    places: HashMap<usize, Place>,
}

impl Shipping {
    /// Where an address of this process is found in a worker.
    fn place(&mut self, address: usize) -> Result<Place, String> {
        if let Some(place) = self.places.get(&address) {
            return Ok(*place);
        }
        let (image, offset) = Image::of_address(address)?;
        let known = self.images.iter().position(|known| *known == image);
        let number = known.unwrap_or_else(|| {
            let mut frame = wire::begin(Kind::Image);
            if !image.is_program {
                frame.extend(image.identity.as_bytes());
                frame.push(0);
                frame.extend(image.path.as_bytes());
            }
            wire::seal(&mut frame);
            self.frames.push(Arc::new(frame));
            self.images.push(image);
            self.images.len() - 1
        });
        let place = Place {
            image: number as u64,
            offset,
        };
        self.places.insert(address, place);
        Ok(place)
    }

    /// The messages that tell a worker of all images from the given one on.
    fn frames_from(&self, first: usize) -> impl Iterator<Item = Arc<Vec<u8>>> {
        self.frames[first..].iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch;
    use crate::task::delayed;

    #[test]
    fn a_call_on_a_pool_whose_io_thread_has_ended_is_an_error() {
        let mut pool = Processes::start(1).unwrap();
        pool.shared.send(|inbox| inbox.closing = true);
        pool.pump.take().unwrap().join().unwrap();
        let error = dispatch::run(&pool, [delayed(|n: u64| n, 1)]).unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}
