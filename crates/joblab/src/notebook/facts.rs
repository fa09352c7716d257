//! How evcxr's kernel and its runtime, the process that runs cells, talk to each other.

/// The variable that evcxr's kernel sets for its runtime.
pub(crate) const RUNTIME: &str = "EVCXR_IS_RUNTIME";

/// Whether this process runs a notebook's cells, or is a worker of one that does: evcxr's kernel sets
/// the variable, and children inherit it.
pub(crate) fn is_evcxr() -> bool {
    std::env::var_os(RUNTIME).is_some()
}
