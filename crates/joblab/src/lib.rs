#![doc = include_str!("../README.md")]
// Only pools of processes write tasks down, and they need Linux.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod backend;
mod batch;
mod codec;
mod cpus;
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
    cpus::cpu_count,
    error::Error,
    gil::with_gil,
    parallel::Parallel,
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
