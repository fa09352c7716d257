//! The bridge as the crate sees it: finding a Python for it, starting it, and listening to it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::writer::{SHARED, Shared};
use crate::backend::remote::exit;
use crate::backend::remote::framing::{Broken, Decoder, Kind};
use crate::backend::remote::output::Lines;
use crate::backend::remote::printer::Printer;
use crate::backend::remote::protocol::{self, DaskReply, Verdict};
use crate::batch::{Completion, RemoteWorker, Reply};
use crate::error::Error;
use crate::notebook::facts::{RUNTIME, end_without_kernel, is_evcxr, kernel};
use crate::os::{self, Interest, PARENT_ENDS, Stream, lock};

const PROGRAM: &str =
    concat!(include_str!("frames.py"), include_str!("workers.py"), include_str!("bridge.py"));
/// The status with which a Python ends that has no `distributed`.
const NO_DASK: i32 = 77;

/// The way from the bridge.
pub(super) struct Listener {
    child: Child,
    decoder: Decoder<ChildStdout>,
    stderr: Lines<ChildStderr>,
    printer: Arc<Printer>,
}

/// Starts a bridge and waits until it is connected. Tells how many tasks can run at a time.
pub(super) fn start(
    scheduler: &str,
    n_jobs: usize,
    entry: &str,
    images: &[Arc<Vec<u8>>],
) -> Result<(Listener, ChildStdin, usize), Error> {
    let pythons = pythons();
    for python in &pythons {
        let started = Command::new(python)
            .args(["-c", PROGRAM, scheduler, &n_jobs.to_string(), entry])
            .arg(images.len().to_string())
            .env_remove(RUNTIME)
            // A file of a package's name in the current folder is not that package.
            .env("PYTHONSAFEPATH", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else { continue };
        let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
        for image in images {
            // What there is to say of a bridge that has ended is found out by reading.
            let _ = stdin.as_mut().expect("piped").write_all(image);
        }
        let mut decoder = Decoder::new(stdout.expect("piped"));
        match decoder.next() {
            Ok(Some((Kind::Hello, body))) => {
                let stderr = child.stderr.take().expect("piped");
                let threads = protocol::read_threads(&body).unwrap_or(1);
                let output = (|| -> io::Result<_> {
                    os::set_nonblocking(decoder.get_ref().as_fd())?;
                    let printer = Printer::new()?;
                    Ok((Lines::new(stderr, Stream::Stderr, is_evcxr(), &printer)?, printer))
                })();
                let (stderr, printer) = output.map_err(|error| Error::pool(n_jobs, error))?;
                let listener = Listener { child, decoder, stderr, printer };
                return Ok((listener, stdin.expect("piped"), threads));
            }
            Ok(Some((Kind::Refused, reason))) => {
                exit::end(&mut child);
                return Err(Error::dask(&String::from_utf8_lossy(&reason)));
            }
            _ => {
                drop(stdin);
                let output = child.wait_with_output();
                if output.as_ref().is_ok_and(|o| o.status.code() == Some(NO_DASK)) {
                    continue;
                }
                let words = output.map(|output| output.stderr).unwrap_or_default();
                let words = String::from_utf8_lossy(&words);
                let last = words.lines().last().unwrap_or("it says nothing");
                let python = python.display();
                return Err(Error::dask(&format!("{python} could not start: {last}")));
            }
        }
    }
    let pythons = pythons.iter().map(|python| python.display().to_string());
    Err(Error::no_dask(&pythons.collect::<Vec<_>>().join(", ")))
}

/// The Pythons that may have Dask, in the order in which they are tried.
fn pythons() -> Vec<PathBuf> {
    let chosen = std::env::var_os("JOBLAB_PYTHON").map(PathBuf::from);
    let activated = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|prefix| PathBuf::from(prefix).join("bin/python"));
    chosen.into_iter().chain(activated).chain([PathBuf::from("python3")]).collect()
}

impl Listener {
    /// Passes on answers until the bridge ends.
    pub(super) fn listen(mut self, shared: &Shared) {
        let (is_astray, reason) = loop {
            match self.decoder.next() {
                Ok(Some((Kind::Reply, message))) => answer(shared, message),
                Ok(Some((Kind::Hello, body))) => {
                    if let Some(threads) = protocol::read_threads(&body) {
                        shared.threads.store(threads, Ordering::Relaxed);
                    }
                }
                Ok(Some((Kind::Refused, reason))) => {
                    break (false, String::from_utf8_lossy(&reason).into_owned());
                }
                Ok(None) => {
                    if let Err(error) = self.wait() {
                        break (true, error.to_string());
                    }
                }
                Err(Broken::Closed) => break (false, "the bridge to it ended".to_owned()),
                Ok(Some(_)) | Err(_) => break (true, "the bridge talks nonsense".to_owned()),
            }
        };
        // It ends by itself otherwise, and has the time to end its cluster.
        if is_astray {
            exit::end(&mut self.child);
        }
        let _ = self.child.wait();
        self.stderr.catch_up(true);
        let waiting = std::mem::replace(&mut *lock(&shared.waiting), Err(reason.clone()));
        for (completion, _) in waiting.into_iter().flatten().map(|(_, waiting)| waiting) {
            completion.failed(Error::dask(&reason));
        }
    }

    /// Waits for the bridge's next words; what its workers print is passed on meanwhile.
    fn wait(&mut self) -> io::Result<()> {
        let kernel = kernel();
        let mut files = vec![
            (self.decoder.get_ref().as_fd(), Interest::Read),
            (self.printer.news(), Interest::Read),
        ];
        files.extend(kernel.iter().map(|kernel| (kernel.as_fd(), PARENT_ENDS)));
        let stderr = self.stderr.file();
        files.extend(stderr.map(|file| (file, Interest::Read)));
        let ready = os::wait(&files, None)?;
        if kernel.is_some() && ready[2] {
            end_without_kernel();
        }
        self.printer.take_news();
        self.stderr.pass_on();
        Ok(())
    }
}

/// Reports an answer to the call that awaits it, if one still does.
fn answer(shared: &Shared, message: Vec<u8>) {
    let Some(reply) = DaskReply::read(&message) else { return };
    let waiting = match &mut *lock(&shared.waiting) {
        Ok(waiting) => waiting.remove(&reply.number),
        Err(_) => None,
    };
    // Its shared memory is the caller's alone again, once it is answered.
    let Some((completion, _)) = waiting else { return };
    if reply.verdict != Verdict::Done {
        let error = failure(&completion, &reply);
        return completion.failed(error);
    }
    if reply.has_shared_memory() {
        let error = Error::result(completion.tasks().start, SHARED);
        return completion.failed(error);
    }
    let (pid, clock_ahead) = (reply.pid, reply.clock_ahead);
    let thread = String::from_utf8_lossy(reply.name).into();
    let worker = RemoteWorker { pid, thread, clock_ahead };
    let outcomes = message.len() - reply.rest.len();
    completion.replied(Reply { worker, message, outcomes, files: Vec::new() });
}

fn failure(completion: &Completion, reply: &DaskReply<'_>) -> Error {
    let DaskReply { verdict, pid, .. } = *reply;
    let tasks = completion.tasks();
    let [name, words] = [reply.name, reply.rest].map(String::from_utf8_lossy);
    match verdict {
        Verdict::NoFunction => Error::function(tasks.start, words),
        Verdict::Died => {
            let how = exit::describe(ExitStatus::from_raw(reply.status()));
            Error::died(&tasks, &format!("process {pid} of Dask worker {name}"), &how)
        }
        Verdict::Killed => Error::died(&tasks, &format!("Dask worker {words}"), "died"),
        Verdict::Late => {
            let end = format!("its process {pid} on Dask worker {name} was stopped");
            Error::task_timeout(tasks.start, completion.task_timeout().unwrap_or_default(), &end)
        }
        Verdict::Done | Verdict::Lost => Error::dask_task(tasks.start, &words),
    }
}
