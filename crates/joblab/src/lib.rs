#![doc = include_str!("../README.md")]
// Only pools of processes write tasks down, and they need Linux.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod backend;
mod batch;
mod call;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod figure;
mod measure;
mod notebook;
mod os;
mod parallel;
mod pool;
mod seeds;
mod shared;
mod task;
mod tutorial;

pub use crate::{
    backend::Backend,
    call::{CancelToken, Progress},
    error::Error,
    figure::{Figure, cost_against_length, cost_against_size, speedup, timeline, wall_vs_cpu},
    measure::{Measured, Run, TaskRecord, Timing, time},
    os::cpu_count,
    parallel::{Parallel, shared_mem::SharedMem, with_state::WithState},
    pool::{Job, Pool},
    seeds::seeds,
    shared::{Part, SharedSlice, Whole},
    task::{Data, Delayed, Task, delayed},
    tutorial::{find_ids, wait_loop_nogil, wait_loop_withgil, with_gil},
};

#[doc = include_str!("../JOBLIB.md")]
pub mod joblib {}

/// The program in the workspace's README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
