//! Pools of processes and of threads in the real kernel, driven over Jupyter's protocol: what cells
//! see of a pool, and that no worker outlives the cells, however they end.
#![cfg(target_os = "linux")]

mod scenario;

use scenario::assert_passes;

const _: &str = include_str!("process_pool.py");
const SCRIPT: &str = "process_pool.py";

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn cells_share_pools_functions_and_the_lock() {
    assert_passes(SCRIPT, "cells");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn no_worker_outlives_the_cells() {
    assert_passes(SCRIPT, "ends");
}
