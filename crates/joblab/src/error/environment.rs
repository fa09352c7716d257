//! What the system, a file, a cluster or a library refused.

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::{Error, Kind, Reason};
use crate::backend::Backend;

impl Error {
    pub(crate) fn pool(n_jobs: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("a pool of {n_jobs} workers could not be started");
        Error::refused(None, &what, reason.into(), "")
    }

    /// For a backend that this system does not have, beside one that it has.
    pub(crate) fn other_system(backend: Backend, here: Backend) -> Self {
        let systems = match backend {
            Backend::Dask => "Linux (WSL, on Windows)",
            _ => "Linux (WSL, on Windows) or macOS",
        };
        let message = format!("Backend::{backend:?} needs {systems}: use Backend::{here:?}");
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn start(how: impl Into<Reason>) -> Self {
        Error::refused(None, "a worker process could not be started", how.into(), "")
    }

    pub(crate) fn forked() -> Self {
        let message = "this process is a fork of the one that started the pool, and the workers are \
                       not there for it: make a new Parallel behind the fork";
        Error::new(Kind::Other, None, message.to_owned())
    }

    pub(crate) fn memory(numbers: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("there is no shared memory for {numbers} numbers");
        Error::refused(None, &what, reason.into(), "")
    }

    pub(crate) fn parts(parts: usize) -> Self {
        let message = format!(
            "{parts} parts are not given back: join when the call that has them is over, and no \
             variable holds one"
        );
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn results(path: &Path, reason: io::Error) -> Self {
        let what = format!("the file of results {} cannot be used", path.display());
        let otherwise = "What is in it stays; results that are not in it are in take_finished";
        Error::refused(None, &what, reason.into(), otherwise)
    }

    pub(crate) fn results_in_use(path: &Path) -> Self {
        let message = format!(
            "another call or program writes to the file of results {}: wait for its end, or give this \
             call a file of its own",
            path.display()
        );
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn results_foreign(path: &Path) -> Self {
        let message = format!(
            "{} is no file of results, or one of another version of joblab, and is left as it is: \
             name another file",
            path.display()
        );
        Error::new(Kind::Invalid, None, message)
    }

    pub(crate) fn unsaved(index: usize, reason: impl Into<Reason>) -> Self {
        let what = format!("the result of task {index} cannot be kept in the file of results");
        Error::refused(Some(index), &what, reason.into(), "Return a type that serde can write")
    }

    pub(crate) fn no_dask(looked_at: &str) -> Self {
        let message = format!(
            "Backend::Dask needs a Python that has the package `distributed`, and there is none \
             (tried: {looked_at}). Install it with `python3 -m pip install distributed`, or name \
             such a Python in JOBLAB_PYTHON"
        );
        Error::new(Kind::Other, None, message)
    }

    pub(crate) fn dask(reason: &str) -> Self {
        let message = format!("the Dask cluster cannot be used: {reason}");
        Error::new(Kind::Other, None, message)
    }

    /// For what went wrong in Dask and not in the task.
    pub(crate) fn dask_task(index: usize, reason: &str) -> Self {
        let message = format!("Dask did not run task {index}: {reason}");
        Error::new(Kind::Other, Some(index), message)
    }

    pub(crate) fn replay(reason: impl Display) -> Self {
        Error::new(Kind::Other, None, format!("the run cannot be replayed: {reason}"))
    }

    #[cfg(feature = "figures")]
    pub(crate) fn figure(reason: impl Display) -> Self {
        let message = format!("the figure could not be made: {reason}");
        Error::new(Kind::Other, None, message)
    }

    #[cfg(feature = "figures")]
    pub(crate) fn figure_file(path: &Path, reason: io::Error) -> Self {
        let what = format!("the figure could not be saved to {}", path.display());
        Error::refused(None, &what, reason.into(), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_a_backend_names_those_that_have_it() {
        let said = |backend, here| Error::other_system(backend, here).to_string();
        assert_eq!(
            said(Backend::Multiprocessing, Backend::Threading),
            "Backend::Multiprocessing needs Linux (WSL, on Windows) or macOS: use Backend::Threading"
        );
        assert_eq!(
            said(Backend::Dask, Backend::Multiprocessing),
            "Backend::Dask needs Linux (WSL, on Windows): use Backend::Multiprocessing"
        );
    }
}
