//! What the promises have in common.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::parallel::Parallel;

/// Makes a `Parallel` of so many workers, on a pool of its own.
pub(super) type Make<'a> = &'a dyn Fn(i32) -> Parallel;
/// A function that panics where the promise of its name is broken, and that name.
pub(super) type Promise = (&'static str, fn(Make<'_>));

macro_rules! promises {
    ($($promise:ident,)*) => {
        pub(super) const PROMISES: &[$crate::conformance::suite::Promise] = &[$((stringify!($promise), $promise)),*];
    };
}
pub(super) use promises;

pub(super) fn square(n: u64) -> u64 {
    n * n
}

pub(super) fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// A pool must be as good as new after a call that failed.
#[track_caller]
pub(super) fn works_on(parallel: &Parallel) {
    let results = parallel.map(square, 0..5).map(|run| run.results);
    assert_eq!(results.unwrap(), [0, 1, 4, 9, 16], "the next call");
}

/// Who runs this: a process and a thread of it, which no later one is taken for.
pub(super) fn worker() -> Worker {
    (std::process::id(), format!("{:?}", std::thread::current().id()))
}

pub(super) type Worker = (u32, String);

/// Whether tasks run in the thread that calls.
pub(super) fn runs_in_caller(parallel: &Parallel) -> bool {
    let run = parallel.map(|()| worker(), [()]).unwrap();
    run.results == [worker()]
}

/// A folder that tasks leave marks in, to be counted in whatever process they ran.
pub(super) struct Marks(PathBuf);

impl Marks {
    pub(super) fn new() -> Self {
        let folders = (0..).map(|number| format!("joblab-marks-{}-{number}", std::process::id()));
        let folder = folders
            .map(|name| std::env::temp_dir().join(name))
            .find(|folder| fs::create_dir(folder).is_ok());
        Marks(folder.expect("there are more numbers than folders"))
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.0.clone()
    }

    pub(super) fn count(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }

    pub(super) fn count_of(&self, task: u64) -> u64 {
        (0..).find(|nth| !file(&self.0, task, *nth).exists()).unwrap()
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // A task that nobody waits for may still write into it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn file(folder: &Path, task: u64, nth: u64) -> PathBuf {
    folder.join(format!("{task}.{nth}"))
}

/// Leaves a task's mark, and tells how many it had left before.
pub(super) fn mark(folder: &Path, task: u64) -> u64 {
    let is_new = |nth: &u64| {
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).open(file(folder, task, *nth));
        // Where the folder is gone, nobody counts any more.
        created.is_ok() || !folder.exists()
    };
    (0..).find(is_new).unwrap()
}
