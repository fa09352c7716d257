//! Tests of the public face, in one binary.

#[cfg(target_os = "linux")]
mod built;
mod conformance;
#[cfg(target_os = "linux")]
mod dask;
mod derives;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod ends;
#[cfg(target_os = "linux")]
mod faults;
mod figures;
mod joblib_table;
#[cfg(target_os = "linux")]
mod journal;
#[cfg(target_os = "linux")]
mod libraries;
#[cfg(target_os = "linux")]
mod names;
mod nesting;
mod options;
#[cfg(target_os = "linux")]
mod output;
mod own_pools;
#[cfg(target_os = "linux")]
mod process_iterators;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod progress;
mod rayon_in_tasks;
#[cfg(target_os = "linux")]
mod scarcity;
mod sharedmem;
#[cfg(target_os = "linux")]
mod sharing;
#[cfg(target_os = "linux")]
mod startup;
#[cfg(target_os = "linux")]
mod system;
mod timing;
mod xml;

use joblab::Backend;

/// The backends that there are on this system.
const BACKENDS: &[Backend] = &[
    Backend::Sequential,
    Backend::Threading,
    #[cfg(target_os = "linux")]
    Backend::Multiprocessing,
];
