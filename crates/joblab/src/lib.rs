#![doc = include_str!("../README.md")]
// Only pools of processes write tasks down, and they need Linux.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[cfg(feature = "ndarray")]
mod array;
mod backend;
mod batch;
mod cancel;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cpus;
mod dispatch;
mod display;
mod error;
mod function;
mod gil;
#[cfg(all(feature = "inside", target_os = "linux"))]
#[doc(hidden)]
pub mod inside;
mod lock;
mod nesting;
mod parallel;
mod plot;
mod process_wide;
mod progress;
mod run;
mod seeds;
mod segment;
mod shared_slice;
mod sharedmem;
mod spin;
mod state;
mod table;
mod task;
mod timing;
mod travel;
mod units;
mod worker;
mod workload;

pub use crate::{
    backend::{Backend, Job, Pool},
    cancel::CancelToken,
    cpus::cpu_count,
    error::Error,
    gil::with_gil,
    parallel::Parallel,
    plot::{Figure, cost_against_length, cost_against_size, speedup, timeline, wall_vs_cpu},
    progress::Progress,
    run::{Measured, Run, TaskRecord},
    seeds::seeds,
    shared_slice::{Part, SharedSlice, Whole},
    sharedmem::SharedMem,
    state::WithState,
    task::{Data, Delayed, Task, delayed},
    timing::{Timing, time},
    workload::{find_ids, wait_loop_nogil, wait_loop_withgil},
};

#[doc = include_str!("../JOBLIB.md")]
pub mod joblib {}

/// The program in the workspace's README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
