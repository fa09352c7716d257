//! Who is at work: the names of the current thread and process.

/// The name of a process's first thread.
pub(crate) const MAIN_THREAD: &str = "main";
/// The environment variable that tells a worker process its name: the environment is the one thing
/// that all copies of this crate in a process share.
pub(crate) const PROCESS_NAME: &str = "JOBLAB_PROCESS_NAME";

/// The current thread's name; `main` for the one that the process started with.
pub(crate) fn thread_name() -> String {
    match std::thread::current().name() {
        Some(name) => name.to_owned(),
        // In a notebook the main thread was started by the kernel's own copy of std, and that of
        // the cells does not know it.
        None if super::is_first_thread() => MAIN_THREAD.to_owned(),
        None => "unnamed".to_owned(),
    }
}

/// The current process's name: `MainProcess`, as Python's `multiprocessing` calls the one that starts
/// the others, or that of a worker.
pub(crate) fn process_name() -> String {
    std::env::var(PROCESS_NAME).unwrap_or_else(|_| "MainProcess".to_owned())
}
