//! The other side: what a worker process does, from its first instruction to its last.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::image::{Image, Place};
use super::sys::{self, Interest};
use super::wire::{self, Broken, Decoder, Fields, Kind};
use crate::error::panic_message;
use crate::timing::TaskClock;
use crate::trampoline;
use crate::worker::MAIN_THREAD;

/// The variable that makes a program a worker.
pub(super) const VARIABLE: &str = "JOBLAB_WORKER";
/// The function that makes evcxr's runtime a worker, by name. It has the crate's version in it, so
/// that a notebook that loads two versions gets the right one.
pub(super) const ENTRY: &str = concat!("joblab_worker_", env!("CARGO_PKG_VERSION"));

/// How a worker answers: what a reply's first number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Times and the result follow.
    Done = 0,
    /// The message of the panic follows.
    Panicked = 1,
    /// Why argument or result could not be carried follows.
    NotCarried = 2,
    /// Why the function's library could not be loaded follows.
    NoFunction = 3,
}

impl Verdict {
    pub(super) fn from_u64(value: u64) -> Option<Self> {
        [
            Verdict::Done,
            Verdict::Panicked,
            Verdict::NotCarried,
            Verdict::NoFunction,
        ]
        .into_iter()
        .find(|&verdict| verdict as u64 == value)
    }
}

/// What evcxr's runtime calls in a worker, as it calls a notebook's cell. Does not return.
#[unsafe(export_name = concat!("joblab_worker_", env!("CARGO_PKG_VERSION")))]
extern "C" fn joblab_worker(_variables: *mut c_void) -> *mut c_void {
    be_a_worker()
}

/// The address of [`joblab_worker`], which tells the library that this code is in.
pub(super) fn entry_address() -> usize {
    joblab_worker as *const c_void as usize
}

sys::at_start!(|| {
    if std::env::var_os(VARIABLE).is_some() {
        // SAFETY: a program has no other threads before `main`. In a library that is loaded later
        // the variable is not set: it was removed here before anything else could run.
        unsafe { sys::remove_variable(VARIABLE) };
        be_a_worker();
    }
});

/// The stack that tasks have, as much as a program's main thread has.
const STACK: usize = 8 << 20;

/// Answers tasks until the parent is gone. However it ended, the system has closed its end of the
/// socket then: this thread waits for that and ends the process, whatever a task is doing.
fn be_a_worker() -> ! {
    sys::default_crash_handlers();
    let start = || -> io::Result<UnixStream> {
        let socket = UnixStream::from(sys::take_stdin()?);
        let ours = socket.try_clone()?;
        // Tasks see a thread of the name that a program's first one has. This one's name std
        // would only learn in `main`.
        thread::Builder::new()
            .name(MAIN_THREAD.to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| answer_tasks(socket)));
                sys::exit_now(if matches!(ended, Ok(Ok(()))) {
                    0
                } else {
                    FAILED
                })
            })?;
        Ok(ours)
    };
    match start().and_then(|socket| sys::wait(&[(socket.as_fd(), Interest::HangUp)], None)) {
        Ok(_) => sys::exit_now(0),
        Err(_) => sys::exit_now(FAILED),
    }
}

/// The status with which std ends a process whose main thread panicked.
const FAILED: i32 = 101;

fn answer_tasks(mut socket: UnixStream) -> io::Result<()> {
    let mut hello = wire::begin(Kind::Hello);
    wire::seal(&mut hello);
    socket.write_all(&hello)?;

    let mut decoder = Decoder::new(socket.try_clone()?);
    let mut images = Vec::new();
    loop {
        match decoder.next() {
            Ok(Some((Kind::Image, body))) => images.push(open_image(&body)),
            Ok(Some((Kind::Task, body))) => {
                let mut reply = answer(&body, &images);
                wire::seal(&mut reply);
                socket.write_all(&reply)?;
            }
            Err(Broken::Closed) => return Ok(()),
            Err(Broken::Io(error)) => return Err(error),
            Ok(_) | Err(Broken::Foreign(_)) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Loads an image: a nul-separated identity and path, or nothing for the program.
fn open_image(body: &[u8]) -> Result<Image, String> {
    let text = String::from_utf8_lossy(body);
    let Some((identity, path)) = text.split_once('\0') else {
        return Image::program().ok_or_else(|| "the program is not mapped".to_owned());
    };
    sys::load(path).map_err(|reason| format!("{path} could not be loaded: {reason}"))?;
    Image::of_identity(identity).ok_or_else(|| {
        format!(
            "{path} was built anew since it was loaded; run the cell that defines the function \
             again"
        )
    })
}

/// Runs the task in a frame's body and writes the reply's.
fn answer(body: &[u8], images: &[Result<Image, String>]) -> Vec<u8> {
    let Some((trampoline, function, argument)) = read_task(body) else {
        return refusal(Verdict::NotCarried, "the worker got half a task");
    };
    let address = |place: Place| match images.get(place.image as usize) {
        Some(Ok(image)) => Ok(image.address(place.offset)),
        Some(Err(reason)) => Err(reason.as_str()),
        None => Err("the worker was not told of its library"),
    };
    let (trampoline, function) = match (address(trampoline), address(function)) {
        (Ok(trampoline), Ok(function)) => (trampoline, function),
        (Err(reason), _) | (_, Err(reason)) => return refusal(Verdict::NoFunction, reason),
    };

    let mut reply = wire::begin(Kind::Reply);
    let times_at = reply.len();
    reply.extend([0; 32]);
    let clock = TaskClock::start_in_process();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the parent is the same program with the same libraries: `open_image` has checked
        // that these are the files that it took the offsets from.
        unsafe { trampoline::call(trampoline, function, argument, &mut reply) }
    }));
    let times = clock.stop();
    // What the task printed is in the pipe before its result is in the socket.
    let _ = io::stdout().flush();
    match ended {
        Ok(Ok(())) => {
            let numbers = [
                Verdict::Done as u64,
                times.start.to_nanoseconds(),
                times.wall.as_nanos() as u64,
                times.cpu.as_nanos() as u64,
            ];
            for (place, number) in reply[times_at..].chunks_exact_mut(8).zip(numbers) {
                place.copy_from_slice(&number.to_le_bytes());
            }
            reply
        }
        Ok(Err(reason)) => refusal(Verdict::NotCarried, &reason),
        Err(payload) => refusal(Verdict::Panicked, &panic_message(payload)),
    }
}

fn refusal(verdict: Verdict, reason: &str) -> Vec<u8> {
    let mut reply = wire::begin(Kind::Reply);
    reply.extend((verdict as u64).to_le_bytes());
    reply.extend(reason.as_bytes());
    reply
}

/// A task's body: the places of trampoline and function, and the argument.
fn read_task(body: &[u8]) -> Option<(Place, Place, &[u8])> {
    let mut fields = Fields(body);
    let mut place = || {
        let (image, offset) = (fields.u64()?, fields.u64()?);
        Some(Place { image, offset })
    };
    let (trampoline, function) = (place()?, place()?);
    Some((trampoline, function, fields.0))
}
