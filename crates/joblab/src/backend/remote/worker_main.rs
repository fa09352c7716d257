//! The other side: what a worker process does, from its first instruction to its last.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{OsStr, c_char, c_int, c_void};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{iter, mem, thread};

use super::framing::{self, Broken, Decoder, Kind};
use super::images::Image;
use crate::batch::{self, InWorker, Incoming};
use crate::codec::Fields;
use crate::measure::Moment;
use crate::os::startup::{self, Initializer, Note};
use crate::os::{self, Interest, MAIN_THREAD};
use crate::shared::{self, TakenFiles};

/// The variable that makes a program a worker.
pub(crate) const VARIABLE: &str = "JOBLAB_WORKER";
/// The variable that tells a worker which descriptors it has that are not for it.
pub(crate) const INHERITED: &str = "JOBLAB_INHERITED";
/// The function that makes evcxr's runtime a worker, by name. It has the crate's version in it, so
/// that a notebook that loads two versions gets the right one.
pub(crate) const ENTRY: &str = concat!("joblab_worker_", env!("CARGO_PKG_VERSION"));

/// How a worker answers: what a reply's first number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The time that the whole batch took, in nanoseconds, and the outcomes follow; at the end the
    /// descriptors (i32) of the shared memory in them, and the number of those.
    Done = 0,
    /// Why the function's library could not be loaded follows.
    NoFunction = 1,
}

impl Verdict {
    pub(crate) fn from_u64(value: u64) -> Option<Self> {
        [Verdict::Done, Verdict::NoFunction].into_iter().find(|&verdict| verdict as u64 == value)
    }
}

/// What evcxr's runtime calls in a worker, as it calls a notebook's cell, and Python on a Dask worker.
/// Does not return.
#[unsafe(export_name = concat!("joblab_worker_", env!("CARGO_PKG_VERSION")))]
extern "C" fn joblab_worker(_variables: *mut c_void) -> *mut c_void {
    be_a_worker()
}

/// The address of [`joblab_worker`], which tells the library that this code is in.
pub(crate) fn entry_address() -> usize {
    joblab_worker as *const c_void as usize
}

/// Runs [`at_start`] before `main`: in a program as it starts, in a library as it is loaded. The
/// linker keeps a `#[used]` static of this section, and the loader calls each function that one of
/// them names (System V ABI, "Initialization and Termination Functions").
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: Initializer = at_start;

/// Says that a program has [`AT_START`]: see [`can_be_worker`].
#[used]
#[unsafe(link_section = ".note.joblab")]
static NOTE: Note = Note::new(env!("CARGO_PKG_VERSION"));

/// Whether the program makes itself a worker where it is started as one: this crate, of this version,
/// is linked into it, and not only into a library that it has loaded.
pub(crate) fn can_be_worker() -> bool {
    startup::program_has(&NOTE)
}

extern "C" fn at_start(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // A library has no say in what its program is.
    let Some(behind) = startup::initializers_behind(&raw const AT_START) else {
        return;
    };
    // SAFETY: a program has no other threads before `main`.
    unsafe { std::env::remove_var(VARIABLE) };
    close_inherited();
    // Whatever has start-up code behind ours finds the same order in a worker: what runs before `main`
    // has run before the first task.
    for initializer in behind {
        initializer(count, arguments, environment);
    }
    be_a_worker();
}

/// Closes what the program holds open for its own use, and the system has passed on.
fn close_inherited() {
    let Ok(descriptors) = std::env::var(INHERITED) else {
        return;
    };
    // SAFETY: a worker has no other threads that read the environment before its first task.
    unsafe { std::env::remove_var(INHERITED) };
    descriptors.split(',').filter_map(|number| number.parse().ok()).for_each(os::close_inherited);
}

/// Answers tasks until the parent is gone. However it ended, the system has closed its end of the
/// socket then: this thread waits for that and ends the process, whatever a task is doing, and what
/// that has started.
fn be_a_worker() -> ! {
    close_inherited();
    startup::take_programs_name();
    os::default_crash_handlers();
    os::ignore_broken_pipes();
    let is_busy = Arc::new(AtomicBool::new(false));
    let its_busy = Arc::clone(&is_busy);
    let start = || -> io::Result<UnixStream> {
        let socket = UnixStream::from(os::take_stdin()?);
        let ours = socket.try_clone()?;
        // Tasks see a thread of the name that a program's first one has. This one's name std
        // would only learn in `main`.
        let thread = thread::Builder::new().name(MAIN_THREAD.to_owned());
        thread.stack_size(os::stack_size()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| answer_tasks(socket, &its_busy)));
            os::exit_now(if matches!(ended, Ok(Ok(()))) { 0 } else { FAILED })
        })?;
        Ok(ours)
    };
    match start().and_then(|socket| os::wait(&[(socket.as_fd(), Interest::HangUp)], None)) {
        Ok(_) => {
            if is_busy.load(Ordering::SeqCst) {
                os::kill_own_group();
            }
            os::exit_now(0)
        }
        Err(_) => os::exit_now(FAILED),
    }
}

/// The status with which std ends a process whose main thread panicked.
const FAILED: i32 = 101;

fn answer_tasks(mut socket: UnixStream, is_busy: &AtomicBool) -> io::Result<()> {
    socket.write_all(&framing::frame(Kind::Hello, &[]))?;

    let mut decoder = Decoder::new(Inlet(socket.try_clone()?));
    let mut images = Vec::new();
    let mut worker = InWorker {
        state: Err("it was never told how to make it".to_owned()),
        attachments: Vec::new(),
    };
    // The shared memory of replies, until the parent has taken it over.
    let mut kept = VecDeque::new();
    // Copies of the next message's shared memory.
    let mut copies = (0, Vec::new());
    loop {
        match decoder.next() {
            Ok(Some((Kind::Image, body))) => images.push(open_image(&body)),
            Ok(Some((Kind::Batch, body))) => {
                is_busy.store(true, Ordering::SeqCst);
                let (pid, taken) = mem::take(&mut copies);
                let mut reply = shared::with_taken_files(pid, taken, || {
                    answer(&body, &images, &mut worker, &mut || next_part(&mut decoder))
                });
                if !worker.attachments.is_empty() {
                    kept.push_back(mem::take(&mut worker.attachments));
                }
                framing::seal(&mut reply);
                is_busy.store(false, Ordering::SeqCst);
                socket.write_all(&reply)?;
            }
            Ok(Some((Kind::State, body))) => {
                let (pid, taken) = mem::take(&mut copies);
                worker.state = find(&body, &images).and_then(|(maker, function, context)| {
                    // SAFETY: as for `call_trampoline` below.
                    let make = || unsafe { batch::make_state(maker, function, context) };
                    shared::with_taken_files(pid, taken, make)
                });
            }
            Ok(Some((Kind::Copies, body))) => copies = take_copies(&body)?,
            // What is left of an argument that was not read to its end.
            Ok(Some((Kind::Part, _))) => {}
            Ok(Some((Kind::Taken, _))) => drop(kept.pop_front()),
            Err(Broken::Closed) => return Ok(()),
            Err(Broken::Io(error)) => return Err(error),
            Ok(_) | Err(Broken::Foreign(_)) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// What the parent sends: often one batch soon after the other.
struct Inlet(UnixStream);

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        os::wait(&[(self.0.as_fd(), Interest::Read)], None)?;
        self.0.read(buffer)
    }
}

/// Loads an image: a nul-separated identity and path, or nothing for the program. A copy that was made
/// for this worker has no identity, and a library that was unloaded neither.
fn open_image(body: &[u8]) -> Result<Image, String> {
    let Some(middle) = body.iter().position(|&byte| byte == 0) else {
        return Image::program();
    };
    let (identity, path) = (&body[..middle], OsStr::from_bytes(&body[middle + 1..]));
    if path.is_empty() {
        return Err("the program has unloaded its library".to_owned());
    }
    let shown = path.display();
    os::load_library(path).map_err(|reason| format!("{shown} could not be loaded: {reason}"))?;
    let image = match identity {
        [] => Image::of_path(path),
        _ => Image::of_identity(identity),
    };
    image.ok_or_else(|| {
        format!(
            "{shown} was built anew since it was loaded; run the cell that defines the function \
             again"
        )
    })
}

/// The process that a message's shared memory is of, and the copies of that which another one has.
fn take_copies(body: &[u8]) -> io::Result<(u32, TakenFiles)> {
    let mut numbers = Fields(body);
    let (of, from) = numbers.u64().zip(numbers.u64()).ok_or(io::ErrorKind::InvalidData)?;
    let pairs = iter::from_fn(|| numbers.u64().zip(numbers.u64()));
    let take = |(theirs, here)| Ok((theirs as i32, shared::take_file(from as u32, here as i32)?));
    Ok((of as u32, pairs.map(take).collect::<io::Result<_>>()?))
}

/// The next part of a batch's argument; none after the last, or where the parent is gone.
fn next_part(decoder: &mut Decoder<Inlet>) -> Option<Vec<u8>> {
    match decoder.next() {
        Ok(Some((Kind::Part, part))) if !part.is_empty() => Some(part),
        _ => None,
    }
}

/// Runs the batch in a frame's body and writes the reply's.
fn answer(
    body: &[u8],
    images: &[Result<Image, String>],
    worker: &mut InWorker,
    next_part: &mut dyn FnMut() -> Option<Vec<u8>>,
) -> Vec<u8> {
    let mut reply = framing::begin(Kind::Reply);
    match find(body, images) {
        Ok((trampoline, function, batch)) => {
            let incoming = Incoming { batch, next_part };
            reply.extend((Verdict::Done as u64).to_le_bytes());
            let wall_at = reply.len();
            reply.extend([0; 8]);
            let start = Moment::now();
            // SAFETY: the parent is the same program with the same libraries: `open_image` has
            // checked that these are the files that it took the offsets from.
            unsafe { batch::call_trampoline(trampoline, function, worker, incoming, &mut reply) };
            let wall = start.elapsed().as_nanos() as u64;
            reply[wall_at..wall_at + 8].copy_from_slice(&wall.to_le_bytes());
            for attached in &worker.attachments {
                reply.extend(attached.segment.descriptor().to_le_bytes());
            }
            reply.extend((worker.attachments.len() as u64).to_le_bytes());
            // What the tasks printed is in the pipe before their results are in the socket.
            let _ = io::stdout().flush();
        }
        Err(reason) => {
            reply.extend((Verdict::NoFunction as u64).to_le_bytes());
            reply.extend(reason.as_bytes());
        }
    }
    reply
}

/// The addresses of a batch's trampoline and function here, and its arguments.
fn find<'a>(
    body: &'a [u8],
    images: &[Result<Image, String>],
) -> Result<(usize, usize, &'a [u8]), String> {
    let mut fields = Fields(body);
    let mut address = || {
        let place = fields.u64().zip(fields.u64());
        let (image, offset) = place.ok_or("the worker got half a batch")?;
        match images.get(image as usize) {
            Some(Ok(image)) => Ok(image.address(offset)),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("the worker was not told of its library".to_owned()),
        }
    };
    let (trampoline, function) = (address()?, address()?);
    Ok((trampoline, function, fields.0))
}
