//! Backtraces of panics in a notebook: nobody has asked for them.
#![allow(unsafe_code)]

use std::env;

use super::facts::is_evcxr;

/// What std reads when it tells of the first panic of a process.
const STYLE: &str = "RUST_BACKTRACE";
/// Set by whoever wants backtraces in a notebook; our launcher of kernels sets it for users who have
/// set [`STYLE`] themselves.
const WANTED: &str = "JOBLAB_BACKTRACE";

/// Lets panics of this notebook be told in their message only, unless somebody wants more.
///
/// evcxr sets `RUST_BACKTRACE=1` for the process that runs cells, whatever its user has set: twenty
/// lines for each task that panics, none of them the task's.
pub(crate) fn turn_off() {
    let by_evcxr = is_evcxr() && env::var_os(STYLE).is_some_and(|style| style == "1");
    if by_evcxr && env::var_os(WANTED).is_none() {
        // SAFETY: std's own readers of the environment wait for this. Others, in C, that read it in
        // this moment see the old value or the new one: the variable is there, so that neither the
        // list is moved nor a value freed, and the new one is as long as the old one.
        unsafe { env::set_var(STYLE, "0") };
    }
}
