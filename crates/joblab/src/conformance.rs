//! What a call promises on every pool, each promise a small function that checks it: a test of a
//! pool of your own is one line.
//!
//! This module is there with the crate's feature `conformance`.

mod failures;
mod iterators;
mod limits;
mod results;
mod workers;

use std::fs::{self, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::panic_message;
use crate::parallel::Parallel;

/// Makes a `Parallel` of so many workers, on a pool of its own.
type Make<'a> = &'a dyn Fn(i32) -> Parallel;
/// A function that panics where the promise of its name is broken, and that name.
type Promise = (&'static str, fn(Make<'_>));

macro_rules! promises {
    ($($promise:ident,)*) => {
        pub(super) const PROMISES: &[super::Promise] = &[$((stringify!($promise), $promise)),*];
    };
}
use promises;

/// Checks a pool. `make` makes a `Parallel` of so many workers, without options.
///
/// ```no_run
/// # struct MyPool;
/// # impl MyPool {
/// #     fn start(_: usize) -> MyPool {
/// #         MyPool
/// #     }
/// # }
/// # impl joblab::Pool for MyPool {
/// #     fn n_workers(&self) -> usize {
/// #         1
/// #     }
/// #     fn submit(&self, job: joblab::Job) -> Result<(), joblab::Error> {
/// #         Ok(job.run())
/// #     }
/// # }
/// joblab::conformance::check(|n| joblab::Parallel::with_pool(MyPool::start(n as usize)));
/// ```
///
/// It takes some seconds, and leaves files in the system's temporary folder while it runs.
///
/// # Panics
/// Where the pool breaks a promise, with its name and what was seen.
pub fn check(make: impl Fn(i32) -> Parallel) {
    let topics = [
        results::PROMISES,
        workers::PROMISES,
        failures::PROMISES,
        limits::PROMISES,
        iterators::PROMISES,
    ];
    for (name, promise) in topics.into_iter().flatten() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| promise(&make))) {
            let seen = panic_message(payload);
            panic!("the pool breaks the promise {name}: {seen}");
        }
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// A pool must be as good as new after a call that failed.
#[track_caller]
fn works_on(parallel: &Parallel) {
    let results = parallel.map(square, 0..5).map(|run| run.results);
    assert_eq!(results.unwrap(), [0, 1, 4, 9, 16], "the next call");
}

/// Who runs this: a process and a thread of it, which no later one is taken for.
fn worker() -> Worker {
    (std::process::id(), format!("{:?}", std::thread::current().id()))
}

type Worker = (u32, String);

/// Whether tasks run in the thread that calls.
fn runs_in_caller(parallel: &Parallel) -> bool {
    let run = parallel.map(|()| worker(), [()]).unwrap();
    run.results == [worker()]
}

/// A folder that tasks leave marks in, to be counted in whatever process they ran.
struct Marks(PathBuf);

impl Marks {
    fn new() -> Self {
        let folders = (0..).map(|number| format!("joblab-marks-{}-{number}", std::process::id()));
        let folder = folders
            .map(|name| std::env::temp_dir().join(name))
            .find(|folder| fs::create_dir(folder).is_ok());
        Marks(folder.expect("there are more numbers than folders"))
    }

    fn folder(&self) -> PathBuf {
        self.0.clone()
    }

    fn count(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }

    fn count_of(&self, task: u64) -> u64 {
        (0..).find(|nth| !file(&self.0, task, *nth).exists()).unwrap()
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // A task that nobody waits for may still write into it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn file(folder: &Path, task: u64, nth: u64) -> PathBuf {
    folder.join(format!("{task}.{nth}"))
}

/// Leaves a task's mark, and tells how many it had left before.
fn mark(folder: &Path, task: u64) -> u64 {
    let is_new = |nth: &u64| {
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).open(file(folder, task, *nth));
        // Where the folder is gone, nobody counts any more.
        created.is_ok() || !folder.exists()
    };
    (0..).find(is_new).unwrap()
}
