//! Tests of the public face, in one binary.

mod conformance;
mod figures;
mod names;
mod options;
mod timing;

use joblab::Backend;

/// The backends that the conformance suite runs on.
const BACKENDS: [Backend; 2] = [Backend::Sequential, Backend::Threading];
