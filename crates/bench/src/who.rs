//! The participants' names, as they stand in the results.

pub(crate) const JOBLAB: &str = "joblab";

// The machine.
/// CPU time of joblab's tasks in the same run, spread evenly over workers or CPUs.
pub(crate) const IDEAL: &str = "CPU time / workers";
pub(crate) const C: &str = "C, cc -O3";
pub(crate) const COPY: &str = "copy in memory";
pub(crate) const PING_PONG: &str = "16-byte ping-pong";
pub(crate) const PROCESS_START: &str = "process start";
pub(crate) const EVCXR: &str = "evcxr alone";

/// The tutorial's own program in Jupyter's kernel for Python.
pub(crate) const IPYKERNEL: &str = "ipykernel";

// Rust's pools.
pub(crate) const RAYON: &str = "rayon";
pub(crate) const PROCSPAWN: &str = "procspawn";

// Python's pools.
pub(crate) const JOBLIB_THREADING: &str = "joblib threading";
pub(crate) const JOBLIB_MULTIPROCESSING: &str = "joblib multiprocessing";
pub(crate) const JOBLIB_LOKY: &str = "joblib loky";
pub(crate) const POOL: &str = "multiprocessing.Pool";
pub(crate) const PROCESS_EXECUTOR: &str = "ProcessPoolExecutor";
pub(crate) const THREAD_EXECUTOR: &str = "ThreadPoolExecutor";
pub(crate) const MPIRE: &str = "mpire";
pub(crate) const DASK: &str = "Dask";

/// What is no pool, and so cannot be faster than one.
pub(crate) const MACHINE: &[&str] = &[IDEAL, C, COPY, PING_PONG, PROCESS_START, EVCXR];
