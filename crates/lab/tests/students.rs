//! A notebook as students write it: for each mistake what the kernel says, and that what it says helps.
#![cfg(target_os = "linux")]

mod scenario;

use scenario::assert_passes;

const _: &str = include_str!("students.py");

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn what_the_kernel_says_of_a_mistake_leads_on() {
    assert_passes("students.py", "mistakes");
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn the_cells_of_the_readme_run_in_a_folder_of_ones_own() {
    assert_passes("students.py", "readme");
}
