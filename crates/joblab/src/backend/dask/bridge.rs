//! The bridge as the crate sees it: finding a Python for it, starting it, and listening to it.

use std::ffi::OsString;
use std::io::{self, ErrorKind, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::writer::{SHARED, Shared, write_all};
use crate::backend::remote::exit;
use crate::backend::remote::framing::{Broken, Decoder, Kind};
use crate::backend::remote::output::Lines;
use crate::backend::remote::printer::Printer;
use crate::backend::remote::protocol::{DaskHello, DaskReply, Verdict};
use crate::batch::{Completion, RemoteWorker, Reply};
use crate::error::Error;
use crate::measure::Moment;
use crate::notebook::facts::{RUNTIME, end_without_kernel, is_evcxr, kernel};
use crate::os::{self, Interest, PARENT_ENDS, Stream, lock};

/// Runs the other two, if this Python can: the cluster's machines get the first of them as it stands.
const START: &str = "import asyncio, importlib.util, sys
if sys.version_info < (3, 10):
    sys.exit('Backend::Dask needs Python 3.10 or later, and this is ' + sys.version.split()[0])
if importlib.util.find_spec('distributed') is None:
    sys.exit(77)
source = sys.argv[1]
exec(source)
exec(sys.argv[2])
asyncio.run(main(*sys.argv[3:]))";
const ON_CLUSTER: &str =
    concat!(include_str!("frames.py"), include_str!("process.py"), include_str!("workers.py"));
const HERE: &str = concat!(include_str!("bridge.py"), include_str!("main.py"));
/// How long a bridge may take to start where the call has no limit: more than Dask's own limits, which
/// say what is wrong.
const LONGEST: Duration = Duration::from_secs(600);
/// The status with which a Python ends that has no `distributed`.
const NO_DASK: i32 = 77;

/// The way from the bridge.
pub(super) struct Listener {
    child: Child,
    decoder: Decoder<UnixStream>,
    /// What it and its workers print, on either stream.
    printed: Lines<PipeReader>,
    printer: Arc<Printer>,
}

/// Which cluster, and how much of it.
pub(in crate::backend) struct Wanted<'a> {
    /// None for that of Dask's configuration, or one that is started here.
    pub(in crate::backend) scheduler: Option<&'a str>,
    /// How many workers one has that is started here.
    pub(in crate::backend) n_workers: usize,
    /// How many tasks run at a time on another one.
    pub(in crate::backend) n_jobs: usize,
    /// How long it may take until tasks can run.
    pub(in crate::backend) limit: Option<Duration>,
}

/// A cluster that tasks can be sent to.
pub(super) struct Started {
    pub(super) listener: Listener,
    pub(super) socket: UnixStream,
    pub(super) threads: usize,
    pub(super) is_local: bool,
}

/// Starts a bridge and waits until it is connected.
pub(super) fn start(
    wanted: &Wanted<'_>,
    entry: &str,
    images: &[Arc<Vec<u8>>],
) -> Result<Started, Error> {
    let (begun, limit) = (Moment::now(), wanted.limit.unwrap_or(LONGEST));
    let pythons = pythons();
    for python in &pythons {
        let failed = |error| Error::pool(wanted.n_workers, error);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let (printed, stderr) = io::pipe().map_err(failed)?;
        let stdout = stderr.try_clone().map_err(failed)?;
        let started = Command::new(python)
            .args(["-c", START, ON_CLUSTER, HERE, wanted.scheduler.unwrap_or_default()])
            .args([wanted.n_workers.to_string(), wanted.n_jobs.to_string()])
            .args([entry, &images.len().to_string()])
            .env_remove(RUNTIME)
            // A file of a package's name in the current folder is not that package.
            .env("PYTHONSAFEPATH", "1")
            .stdin(OwnedFd::from(theirs))
            .stdout(stdout)
            .stderr(stderr)
            .spawn();
        let child = match started {
            Ok(child) => child,
            // Not to be passed over in silence: it was asked for.
            Err(error) if chosen().is_some() => {
                let python = python.display();
                return Err(Error::dask(&format!("JOBLAB_PYTHON is {python}: {error}")));
            }
            Err(_) => continue,
        };
        os::set_nonblocking(ours.as_fd()).map_err(failed)?;
        let mut socket = ours.try_clone().map_err(failed)?;
        let printer = Printer::new().map_err(failed)?;
        let printed = Lines::new(printed, Stream::Stderr, is_evcxr(), &printer).map_err(failed)?;
        let mut listener = Listener { child, decoder: Decoder::new(ours), printed, printer };
        // What there is to say of a bridge that has ended is found out by reading.
        images.iter().for_each(|image| drop(write_all(&mut socket, image)));
        match listener.first(begun, limit) {
            Ok((Kind::Hello, body)) => {
                let hello = DaskHello::read(&body);
                let DaskHello { threads, is_local } = hello.unwrap_or_default();
                return Ok(Started { listener, socket, threads, is_local });
            }
            Ok((_, reason)) => {
                listener.end();
                return Err(Error::dask(&String::from_utf8_lossy(&reason)));
            }
            Err(Broken::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                listener.end();
                let (python, words) = (python.display(), listener.printed.last_words());
                let mut error = match wanted.limit {
                    Some(_) => Error::timeout("call_timeout", limit),
                    None => Error::dask(&format!("it did not answer within {limit:?}")),
                };
                error.add(&format!(
                    "Dask was still starting ({python}: {words}): see that this Python, the scheduler \
                     and all workers answer, or give the call more time"
                ));
                return Err(error);
            }
            Err(_) => {
                if listener.child.wait().is_ok_and(|status| status.code() == Some(NO_DASK)) {
                    continue;
                }
                listener.printed.catch_up(true);
                let words = listener.printed.last_words();
                let python = python.display();
                return Err(Error::dask(&format!("{python} could not start: {words}")));
            }
        }
    }
    let pythons = pythons.iter().map(|python| python.display().to_string());
    Err(Error::no_dask(&pythons.collect::<Vec<_>>().join(", ")))
}

/// The Pythons that may have Dask, in the order in which they are tried: the one that was chosen, or
/// those that there may be.
fn pythons() -> Vec<PathBuf> {
    if let Some(chosen) = chosen() {
        return vec![chosen.into()];
    }
    let activated = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|prefix| PathBuf::from(prefix).join("bin/python"));
    activated.chain([PathBuf::from("python3")]).collect()
}

fn chosen() -> Option<OsString> {
    std::env::var_os("JOBLAB_PYTHON").filter(|chosen| !chosen.is_empty())
}

impl Listener {
    /// The first word, which a bridge says when it is connected or gives up.
    fn first(&mut self, begun: Moment, limit: Duration) -> Result<(Kind, Vec<u8>), Broken> {
        loop {
            if let Some(first) = self.decoder.next()? {
                return Ok(first);
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Broken::Io(ErrorKind::TimedOut.into()));
            }
            self.wait(Some(left)).map_err(Broken::Io)?;
        }
    }

    fn end(&mut self) {
        exit::end(&mut self.child);
        self.printed.catch_up(true);
    }

    /// Passes on answers until the bridge ends.
    pub(super) fn listen(mut self, shared: &Shared) {
        let (is_astray, reason) = loop {
            match self.decoder.next() {
                Ok(Some((Kind::Reply, message))) => answer(shared, message),
                Ok(Some((Kind::Hello, body))) => {
                    if let Some(DaskHello { threads, .. }) = DaskHello::read(&body) {
                        shared.threads.store(threads, Ordering::Relaxed);
                    }
                }
                Ok(Some((Kind::Refused, reason))) => {
                    break (false, String::from_utf8_lossy(&reason).into_owned());
                }
                Ok(None) => {
                    if let Err(error) = self.wait(None) {
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
        self.printed.catch_up(true);
        let waiting = std::mem::replace(&mut *lock(&shared.waiting), Err(reason.clone()));
        for (completion, _) in waiting.into_iter().flatten().map(|(_, waiting)| waiting) {
            completion.failed(Error::dask(&reason));
        }
    }

    /// Waits for the bridge's next words; what its workers print is passed on meanwhile.
    fn wait(&mut self, most: Option<Duration>) -> io::Result<()> {
        let kernel = kernel();
        let mut files = vec![
            (self.decoder.get_ref().as_fd(), Interest::Read),
            (self.printer.news(), Interest::Read),
        ];
        files.extend(kernel.iter().map(|kernel| (kernel.as_fd(), PARENT_ENDS)));
        let printed = self.printed.file();
        files.extend(printed.map(|file| (file, Interest::Read)));
        let ready = os::wait(&files, most)?;
        if kernel.is_some() && ready[2] {
            end_without_kernel();
        }
        self.printer.take_news();
        self.printed.pass_on();
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
        let error = Error::result(completion.first(), SHARED);
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
    let first = completion.first();
    let died = |worker: &str, how: &str| Error::died(&completion.indices(), worker, how);
    let [name, words] = [reply.name, reply.rest].map(String::from_utf8_lossy);
    match verdict {
        Verdict::NoFunction => Error::function(first, words),
        Verdict::Died => {
            let how = exit::describe(ExitStatus::from_raw(reply.status()));
            died(&format!("process {pid} of Dask worker {name}"), &how)
        }
        Verdict::Killed => died(&format!("Dask worker {words}"), "died"),
        Verdict::Late => {
            let end = format!("its process {pid} on Dask worker {name} was stopped");
            Error::task_timeout(first, completion.task_timeout().unwrap_or_default(), &end)
        }
        Verdict::Done | Verdict::Lost => Error::dask_task(first, &words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_dask_and_python_only_what_is_public_is_used() {
        // What os(3) has under such a name is for all.
        const PUBLIC: [&str; 1] = ["_exit"];
        let sources = [START, ON_CLUSTER, HERE].concat();
        let names = sources.split('.').skip(1).map(|after| {
            let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
            after.split(|c| !is_of_name(c)).next().unwrap_or_default()
        });
        let is_private = |name: &&str| name.starts_with('_') && !name.ends_with("__");
        let private: Vec<_> =
            names.filter(is_private).filter(|name| !PUBLIC.contains(name)).collect();
        assert!(private.is_empty(), "{private:?}");
        assert!(sources.contains("os._exit("), "the sources are there");
    }
}
