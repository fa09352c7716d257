//! Tests of the public face, in one binary.

#[cfg(unix)]
mod built;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(target_os = "linux")]
mod dask;
mod derives;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(unix)]
mod ends;
#[cfg(unix)]
mod examples;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(feature = "figures")]
mod figures;
mod joblib_table;
#[cfg(unix)]
mod journal;
#[cfg(target_os = "linux")]
mod libraries;
#[cfg(target_os = "linux")]
mod long_results;
#[cfg(target_os = "linux")]
mod names;
mod nesting;
mod options;
#[cfg(unix)]
mod output;
mod own_pools;
#[cfg(feature = "figures")]
mod palette;
#[cfg(unix)]
mod process_iterators;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(unix)]
mod progress;
mod rayon_in_tasks;
mod replay;
#[cfg(target_os = "linux")]
mod resume;
#[cfg(target_os = "linux")]
mod scarcity;
mod sharedmem;
#[cfg(target_os = "linux")]
mod sharing;
#[cfg(target_os = "linux")]
mod startup;
#[cfg(target_os = "linux")]
mod states;
#[cfg(unix)]
mod system;
mod timing;
#[cfg(feature = "figures")]
mod xml;

use joblab::Backend;

/// The backends that there are on this system.
const BACKENDS: &[Backend] = &[
    Backend::Sequential,
    Backend::Threading,
    #[cfg(unix)]
    Backend::Multiprocessing,
];
