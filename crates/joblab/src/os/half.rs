//! What is stronger on Linux, and else what any Unix has, under the same names.

#[cfg(all(target_os = "linux", not(joblab_portable)))]
pub(crate) use super::linux::native::*;
#[cfg(any(target_os = "macos", joblab_portable))]
pub(crate) use super::portable::*;
