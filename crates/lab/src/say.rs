//! Progress on stderr, so that stdout belongs to the notebooks' results.

/// Says in what state a part of the set-up is.
pub(crate) fn state(part: &str, state: &str) {
    eprintln!("{part:<20} {state}");
}

/// Says what goes on with less than the whole.
pub(crate) fn warning(text: &str) {
    eprintln!("warning: {text}");
}
