//! Tests of the public face, in one binary.

mod conformance;
#[cfg(target_os = "linux")]
mod faults;
mod figures;
#[cfg(target_os = "linux")]
mod names;
mod options;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod system;
mod timing;

use joblab::Backend;

/// The backends that the conformance suite runs on.
const BACKENDS: &[Backend] = &[
    Backend::Sequential,
    Backend::Threading,
    #[cfg(target_os = "linux")]
    Backend::Multiprocessing,
];
