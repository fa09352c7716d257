#![doc = include_str!("../README.md")]

mod backend;
mod batch;
mod codec;
mod dispatch;
mod display;
mod error;
mod gil;
mod parallel;
mod plot;
mod run;
mod task;
mod timing;
mod trampoline;
mod worker;
mod workload;

pub use crate::{
    backend::Backend,
    error::Error,
    gil::with_gil,
    parallel::{Parallel, cpu_count},
    plot::{Figure, cost_against_length, cost_against_size, speedup, wall_vs_cpu},
    run::{Measured, Run, TaskRecord},
    task::{Data, Delayed, Task, delayed},
    timing::{Timing, time},
    workload::{find_ids, wait_loop_nogil, wait_loop_withgil},
};

/// The program in the workspace's README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
