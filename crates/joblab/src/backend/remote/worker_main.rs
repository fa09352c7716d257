//! The other side: what a worker process does, from its first instruction to its last.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{mem, thread};

use super::framing::{self, Broken, Decoder, Kind};
use super::images::{Image, ImageAddress};
use super::long_replies::LongReplySender;
use super::protocol::{self, Head, ImageName, ReplyWriter};
use super::socket::{self, Socket};
use crate::batch::{self, InWorker, Incoming, Journal};
use crate::codec::PartBytes;
use crate::error::drop_quietly;
use crate::measure::Moment;
use crate::os::startup;
use crate::os::{self, Interest, MAIN_THREAD};
use crate::shared::{self, Lane};

/// The variable that makes a program a worker.
pub(crate) const VARIABLE: &str = "JOBLAB_WORKER";
/// The variable that tells a worker which descriptors it has that are not for it.
pub(crate) const INHERITED: &str = "JOBLAB_INHERITED";
/// The function that makes evcxr's runtime a worker, by name. It has the crate's version in it, so
/// that a notebook that loads two versions gets the right one.
pub(crate) const ENTRY: &str = concat!("joblab_worker_", env!("CARGO_PKG_VERSION"));

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

startup::at_start!(at_start, program_has_it);

/// Whether the program makes itself a worker where it is started as one: this crate, of this version,
/// is linked into it, and not only into a library that it has loaded.
pub(crate) fn can_be_worker() -> bool {
    program_has_it()
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
    let Some(behind) = startup::initializers_behind(at_start) else {
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
    os::take_programs_name();
    os::default_crash_handlers();
    os::quiet_crashes();
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
    let parent = parent_id();
    match start().and_then(|socket| wait_for_end(&socket, parent)) {
        Ok(()) => {
            if is_busy.load(Ordering::SeqCst) {
                os::kill_own_group();
            }
            os::exit_now(0)
        }
        Err(_) => os::exit_now(FAILED),
    }
}

/// Waits until the parent is gone: it, and not a copy of it (fork(2)) that holds the other end of the
/// socket too.
fn wait_for_end(socket: &UnixStream, parent: u32) -> io::Result<()> {
    let end = os::end_of(parent);
    let mut files = vec![(socket.as_fd(), Interest::HangUp)];
    files.extend(end.as_ref().map(|end| (end.as_fd(), Interest::Read)));
    // Where there is no file that tells, somebody else is the parent then.
    let tick = end.is_none().then_some(TICK);
    while parent_id() == parent {
        if os::wait(&files, tick)?.contains(&true) {
            return Ok(());
        }
    }
    Ok(())
}

/// So often is looked for the parent where no file tells of its end.
const TICK: Duration = Duration::from_millis(500);

/// The status with which std ends a process whose main thread panicked.
const FAILED: i32 = 101;

fn answer_tasks(socket: UnixStream, is_busy: &AtomicBool) -> io::Result<()> {
    socket::send_all(&socket, &framing::frame(Kind::Hello, &os::program_stamp()), &[])?;

    let mut decoder = Decoder::new(Inlet(Socket::new(socket.try_clone()?)));
    let mut images = Vec::new();
    let mut worker = InWorker {
        state: Err("it was never told how to make it".to_owned()),
        attachments: Vec::new(),
        journal: None,
    };
    // The shared memory of replies, until the parent has taken it over.
    let mut kept = VecDeque::new();
    let mut lane = None;
    let mut outgoing = LongReplySender::default();
    // Those of the next message's shared memory.
    let mut files = Vec::new();
    loop {
        match decoder.next() {
            Ok(Some((Kind::Image, body))) => {
                prepares(&worker, true);
                images.push(open_image(&body));
                prepares(&worker, false);
            }
            Ok(Some((Kind::Journal, _))) => {
                let file = files.pop().flatten();
                worker.journal = file.and_then(|file| Journal::open(file).ok());
            }
            Ok(Some((Kind::Lane, _))) => {
                let file = files.pop().flatten();
                lane = file.and_then(|file| Lane::open(file).ok()).map(Arc::new);
            }
            Ok(Some((Kind::ReplyLane, _))) => {
                let file = files.pop().flatten();
                outgoing.set_lane(file.and_then(|file| Lane::open(file).ok()));
            }
            Ok(Some((Kind::Batch, body))) => {
                is_busy.store(true, Ordering::SeqCst);
                let reply = shared::with_files(mem::take(&mut files), || {
                    answer(&body, &images, &mut worker, &mut || {
                        next_part(&mut decoder, lane.as_ref())
                    })
                });
                if !worker.attachments.is_empty() {
                    for (frame, some) in socket::frames_of_files(&worker.attachments) {
                        socket::send_all(&socket, &frame, some)?;
                    }
                    kept.push_back(mem::take(&mut worker.attachments));
                }
                is_busy.store(false, Ordering::SeqCst);
                outgoing.send(&socket, &reply)?;
            }
            Ok(Some((Kind::State, body))) => {
                let files = mem::take(&mut files);
                prepares(&worker, true);
                worker.state = find(&body, &images).and_then(|(maker, function, context)| {
                    // SAFETY: as for `call_trampoline` below.
                    let make = || unsafe { batch::make_state(maker, function, context) };
                    shared::with_files(files, make)
                });
                prepares(&worker, false);
            }
            Ok(Some((Kind::Files, body))) => {
                let some = decoder.get_mut().0.take_files(&body);
                files.extend(some.ok_or(io::ErrorKind::InvalidData)?);
            }
            Ok(Some((Kind::Finish, _))) => {
                let state = mem::replace(&mut worker.state, Err(String::new()));
                // A panic is printed, and nobody is left who could be told otherwise.
                drop_quietly(state);
                let _ = io::stdout().flush();
                return Ok(());
            }
            // What is left of an argument that was not read to its end.
            Ok(Some((Kind::Part, _))) => files.clear(),
            Ok(Some((Kind::Slot, body))) => {
                drop(protocol::in_lane(lane.as_ref(), &body));
                files.clear();
            }
            Ok(Some((Kind::Taken, _))) => drop(kept.pop_front()),
            Err(Broken::Closed) => return Ok(()),
            Err(Broken::Io(error)) => return Err(error),
            Ok(_) | Err(Broken::Foreign(_)) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Notes that the worker does, or did, what may end it and is no task.
fn prepares(worker: &InWorker, prepares: bool) {
    if let Some(journal) = &worker.journal {
        journal.prepares(prepares);
    }
}

/// What the parent sends: often one batch soon after the other.
struct Inlet(Socket);

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let soon = os::spin(|| match self.0.read_now(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            read => Some(read),
        });
        soon.unwrap_or_else(|| self.0.read(buffer))
    }
}

/// Loads an image.
fn open_image(body: &[u8]) -> Result<Image, String> {
    let (identity, path) = match ImageName::read(body) {
        ImageName::Program => return Image::program(),
        ImageName::Unloaded => return Err("the program has unloaded its library".to_owned()),
        ImageName::Library { identity, path } => (identity, path),
    };
    let shown = path.display();
    os::load_library(path).map_err(|reason| format!("{shown} could not be loaded: {reason}"))?;
    let image = match identity {
        [] => Image::of_path(path),
        _ => Image::of_identity(identity, path),
    };
    image.ok_or_else(|| {
        format!(
            "{shown} was built anew since it was loaded; run the cell that defines the function \
             again"
        )
    })
}

/// The next part of a batch's argument; none after the last, or where the parent is gone.
fn next_part(decoder: &mut Decoder<Inlet>, lane: Option<&Arc<Lane>>) -> Option<PartBytes> {
    loop {
        match decoder.next() {
            Ok(Some((Kind::Part, part))) if !part.is_empty() => return Some(PartBytes::Own(part)),
            Ok(Some((Kind::Slot, body))) => {
                return protocol::in_lane(lane, &body).map(PartBytes::InLane);
            }
            Ok(Some((Kind::Files, body))) => {
                shared::add_files(decoder.get_mut().0.take_files(&body)?);
            }
            _ => return None,
        }
    }
}

/// Runs the batch in a frame's body and writes the reply's.
fn answer(
    body: &[u8],
    images: &[Result<Image, String>],
    worker: &mut InWorker,
    next_part: &mut dyn FnMut() -> Option<PartBytes>,
) -> Vec<u8> {
    match find(body, images) {
        Ok((trampoline, function, batch)) => {
            let incoming = Incoming { batch, next_part };
            let mut reply = ReplyWriter::done();
            let outcomes = &mut reply.frame;
            let start = Moment::now();
            // SAFETY: the parent is the same program with the same libraries: `open_image` has
            // checked that these are the files that it took the offsets from.
            unsafe { batch::call_trampoline(trampoline, function, worker, incoming, outcomes) };
            let reply = reply.finish(start.elapsed(), worker.attachments.len());
            // What the tasks printed is in the pipe before their results are in the socket.
            let _ = io::stdout().flush();
            reply
        }
        Err(reason) => ReplyWriter::no_function(&reason),
    }
}

/// The addresses of a batch's trampoline and function here, and its arguments.
fn find<'a>(
    body: &'a [u8],
    images: &[Result<Image, String>],
) -> Result<(usize, usize, &'a [u8]), String> {
    let (Head([first, second]), rest) = Head::read(body).ok_or("the worker got half a batch")?;
    let address = |place: ImageAddress| match images.get(place.image as usize) {
        Some(Ok(image)) => Ok(image.address(place.offset)),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err("the worker was not told of its library".to_owned()),
    };
    Ok((address(first)?, address(second)?, rest))
}
