//! Real kernels that start with a copy of what is built, as any program starts them that finds their
//! kernel.json: each runs its own cells, and those of a lesson are there soon.

mod scenario;

use scenario::assert_passes;

const _: &str = include_str!("built_kernels.py");
const SCRIPT: &str = "built_kernels.py";

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn kernels_that_run_at_once_run_their_own_cells() {
    assert_passes(SCRIPT, "apart");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn ten_kernels_start_at_once() {
    assert_passes(SCRIPT, "many");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_killed_kernels_folder_is_cleared() {
    assert_passes(SCRIPT, "killed");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn the_set_up_cell_finds_its_crates_built() {
    assert_passes(SCRIPT, "times");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn a_kernel_finds_out_that_there_is_no_network() {
    assert_passes(SCRIPT, "offline");
}
