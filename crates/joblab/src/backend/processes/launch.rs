//! How the workers of a pool start: all of them alike, as it was decided when the pool did.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::backend::remote::images::Image;
use crate::backend::remote::worker_main;
use crate::error::Error;
use crate::notebook::facts::{self, is_evcxr};
use crate::os::{self, PROCESS_NAME, cpu_count};

/// Libraries that would start threads of their own in each worker read these; with n_jobs workers
/// they should share the CPUs. joblib/_parallel_backends.py, MAX_NUM_THREADS_VARS, and rayon's.
const THREAD_VARIABLES: [&str; 8] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];
/// Much longer than a program needs to come to its start-up code on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: OwnedFd,
    /// For how long no starting worker may become ready.
    pub(super) patience: Duration,
}

impl Launch {
    /// Notes this process's folder, environment and arguments, for `n_jobs` workers.
    ///
    /// # Errors
    /// Where the program cannot be a worker.
    pub(super) fn new(n_jobs: usize) -> Result<Self, Error> {
        if !is_evcxr() {
            check_program().map_err(Error::start)?;
        }
        let mut environment: Vec<_> = env::vars_os().collect();
        let threads = (cpu_count() / n_jobs).max(1);
        for variable in THREAD_VARIABLES {
            if environment.iter().all(|(name, _)| name != variable) {
                environment.push((variable.into(), threads.to_string().into()));
            }
        }
        Ok(Launch {
            program: os::program().map_err(|error| Error::pool(n_jobs, error))?,
            arguments: env::args_os().collect(),
            environment,
            folder: os::current_folder().map_err(|error| Error::pool(n_jobs, error))?,
            patience: PATIENCE,
        })
    }

    /// Starts a worker, and gives our end of its socket.
    pub(super) fn start(&self, number: usize) -> Result<(Child, UnixStream), String> {
        self.spawn(number).map_err(|error| error.to_string())
    }

    fn spawn(&self, number: usize) -> io::Result<(Child, UnixStream)> {
        let _turn = os::spawning();
        let (ours, theirs) = UnixStream::pair()?;
        [&ours, &theirs].into_iter().for_each(os::widen);
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.environment.iter().cloned());
        if is_evcxr() {
            let (image, _) =
                Image::of_address(worker_main::entry_address()).map_err(io::Error::other)?;
            let line = facts::load_and_run([&image.path, &image.name], worker_main::ENTRY);
            (&ours).write_all(line.map_err(io::Error::other)?.as_bytes())?;
        } else {
            command.env(worker_main::VARIABLE, "1");
        }
        if let [name, arguments @ ..] = &self.arguments[..] {
            command.arg0(name).args(arguments);
        }
        let inherited = os::inheritable_descriptors()?;
        let inherited: Vec<_> = inherited.iter().map(i32::to_string).collect();
        command.env(worker_main::INHERITED, inherited.join(","));
        command.env(PROCESS_NAME, format!("WorkerProcess-{number}"));
        // It has its own group, so that what its tasks start can be ended with it.
        command.process_group(0);
        command.current_dir(os::path_of_folder(&self.folder)?);
        // The socket is the worker's standard input, so that it needs no inherited descriptor of
        // a number of its own; pipes of its own keep it from holding ours open.
        let child = command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok((child, ours))
    }
}

/// Whether the program becomes a worker where it is started again.
fn check_program() -> Result<(), String> {
    let of_code = Image::of_address(worker_main::entry_address()).map(|(image, _)| image.path);
    let program = Image::program()?;
    let name = program.path.display();
    if !worker_main::can_be_worker() {
        let library =
            of_code.map_or_else(|_| "a library".into(), |path| path.display().to_string());
        return Err(format!(
            "workers are the running program, started again, and {name} has no code of this crate that \
             would make it a worker: it has loaded that with {library}. Use Backend::Threading here, or \
             put the calls into a program of their own, that links this version of joblab, and start that"
        ));
    }
    match os::program().and_then(fs::canonicalize) {
        Ok(file) if file.as_os_str() != program.path => Err(format!(
            "workers are the running program, started again, and the system takes {} for that, which \
             has loaded {name}: start {name} by itself",
            file.display()
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the system does not say which program this is: {error}")),
    }
}
