//! Schedulers and workers as separate processes, each in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::system::{alone, eventually};

pub(super) fn python() -> Command {
    Command::new(std::env::var_os("JOBLAB_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// Where that is, as an absolute path.
pub(super) fn own_python() -> String {
    let output = python().args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The variable with a scheduler's address for this program's other self.
pub(super) const ADDRESS: &str = "JOBLAB_TEST_ADDRESS";

/// What this program's other self says, which runs one test alone.
pub(super) fn said(test: &str, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = alone(test);
    prepare(&mut command);
    let output = command.output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Says that a test, or what is left of it, does not run here. A machine that could run it must, where
/// what it finds decides.
#[track_caller]
pub(super) fn skipped(why: &str, could_run: bool) {
    println!("SKIPPED: {why}");
    let in_ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    assert!(!could_run || !in_ci, "here it has to run: {why}");
}

/// A scheduler and workers; they end with this value.
pub(crate) struct Cluster {
    pub(super) folder: PathBuf,
    pub(super) processes: Vec<Child>,
}

impl Cluster {
    /// Without any process for now.
    pub(super) fn new(test: &str) -> Cluster {
        let name = format!("joblab-dask-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Cluster { folder, processes: Vec::new() }
    }

    pub(crate) fn start(test: &str, workers: usize) -> Cluster {
        Cluster::of_threads(test, workers, 1)
    }

    pub(super) fn of_threads(test: &str, workers: usize, threads: usize) -> Cluster {
        let mut cluster = Cluster::new(test);
        cluster.add_scheduler(python(), "127.0.0.1", &[]);
        for number in 0..workers {
            cluster.add_worker(&format!("w{number}"), threads);
        }
        cluster.wait_for(workers * threads);
        cluster
    }

    /// One of one worker that calls itself `odd`, and runs a piece of Python as it starts: Dask's preload.
    pub(super) fn odd(test: &str, preload: impl FnOnce(&Path) -> String) -> Cluster {
        let mut cluster = Cluster::new(test);
        cluster.add_scheduler(python(), "127.0.0.1", &[]);
        let preload = preload(&cluster.folder);
        cluster.add_odd_worker(&preload);
        cluster
    }

    pub(super) fn add_odd_worker(&mut self, preload: &str) {
        let file = self.preload(preload);
        let arguments = ["--nthreads", "1", "--no-nanny", "--preload", &file];
        self.add_worker_at("odd", python(), "127.0.0.1", &arguments);
        self.wait_for_log("odd");
    }

    /// The file with this piece of Python.
    pub(super) fn preload(&self, preload: &str) -> String {
        let file = self.folder.join("preload.py");
        fs::write(&file, preload).unwrap();
        file.display().to_string()
    }

    pub(super) fn add_scheduler(&mut self, python: Command, host: &str, arguments: &[&str]) {
        self.add("scheduler", python, host, &[&["scheduler", "--port", "0"], arguments].concat());
        eventually("the scheduler says where it is", || self.try_address().is_some());
    }

    pub(super) fn add_worker(&mut self, name: &str, threads: usize) {
        self.add_worker_at(name, python(), "127.0.0.1", &["--nthreads", &threads.to_string()]);
    }

    pub(super) fn add_worker_at(
        &mut self,
        name: &str,
        python: Command,
        host: &str,
        arguments: &[&str],
    ) {
        self.add(name, python, host, &[&["worker", "--name", name], arguments].concat());
    }

    fn add(&mut self, name: &str, mut python: Command, host: &str, arguments: &[&str]) {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        python.args(["-m", "dask"]).args(arguments);
        // A worker that is told an address would take that of the file all the same.
        if !arguments.iter().any(|argument| argument.starts_with("tcp://")) {
            python.arg("--scheduler-file").arg(self.folder.join("address.json"));
        }
        let child = python
            .args(["--host", host, "--dashboard-address", &format!("{host}:0")])
            .current_dir(&folder)
            .env("TMPDIR", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.processes.push(child.unwrap());
    }

    /// Starts one of those anew that were there before.
    pub(super) fn add_again(&mut self, name: &str, arguments: &[&str]) {
        self.add(name, python(), "127.0.0.1", arguments);
    }

    fn try_address(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("address.json")).ok()?;
        let (_, rest) = text.split_once("\"address\": \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }

    pub(crate) fn address(&self) -> String {
        self.try_address().unwrap()
    }

    pub(super) fn parallel(&self, n_jobs: i32) -> Parallel {
        Parallel::new(n_jobs).backend(Backend::Dask).scheduler(self.address())
    }

    /// Waits until the cluster has so many threads.
    pub(super) fn wait_for(&self, threads: usize) {
        wait_for(&self.parallel(-1), threads);
    }

    /// Waits until a worker says in its log that the scheduler knows it.
    pub(super) fn wait_for_log(&self, worker: &str) {
        let log = self.folder.join(worker).join("log");
        eventually("the worker is there", || {
            fs::read_to_string(&log).unwrap_or_default().contains("Registered to")
        });
    }
}

/// Has a Python with a client of the cluster's run this, and gives what it prints.
pub(super) fn ask(mut python: Command, address: &str, code: &str) -> String {
    let program =
        format!("import sys\nfrom distributed import Client\nclient = Client(sys.argv[1])\n{code}");
    let output = python.args(["-c", &program, address]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the cluster has so many threads.
pub(super) fn wait_for(parallel: &Parallel, threads: usize) {
    eventually("all workers are there", || {
        parallel.map(|n: u64| n, [0]).unwrap().n_workers == threads
    });
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A worker ends when its nanny, which is the process that was started here, does.
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        // Until it has noticed, it still writes.
        for _ in 0..50 {
            let _ = fs::remove_dir_all(&self.folder);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
