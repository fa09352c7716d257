//! Tests of the public face, in one binary.

mod conformance;
mod faults;
mod figures;
mod names;
mod options;
mod processes;
mod system;
mod timing;

use joblab::Backend;

/// The backends that the conformance suite runs on.
const BACKENDS: [Backend; 3] = [
    Backend::Sequential,
    Backend::Threading,
    Backend::Multiprocessing,
];
