//! How much stack a task has.

/// As much as a program's main thread usually has.
const STACK: usize = 8 << 20;

/// How much stack threads that run tasks have: as much as std's own would have where its variable is
/// set.
pub(crate) fn stack_size() -> usize {
    let asked = std::env::var("RUST_MIN_STACK").ok().and_then(|size| size.parse().ok());
    asked.unwrap_or(STACK)
}
