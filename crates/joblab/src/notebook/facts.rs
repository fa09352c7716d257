//! How evcxr's kernel and its runtime, the process that runs cells, talk to each other.

/// The variable that evcxr's kernel sets for its runtime.
pub(crate) const RUNTIME: &str = "EVCXR_IS_RUNTIME";

/// Whether this process runs a notebook's cells, or is a worker of one that does: evcxr's kernel sets
/// the variable, and children inherit it.
pub(crate) fn is_evcxr() -> bool {
    std::env::var_os(RUNTIME).is_some()
}

/// A text for standard output in which evcxr's words are only words.
///
/// The runtime talks to the kernel in lines on standard output that hold words like
/// `EVCXR_EXECUTION_COMPLETE`. A task must not be able to say them: they are made harmless by a
/// character of no width (U+2060).
pub(crate) fn without_control_words(text: &str) -> String {
    text.replace("EVCXR_", "EVCXR\u{2060}_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_words_lose_their_power_and_nothing_else_changes() {
        let text = "a\nEVCXR_EXECUTION_COMPLETE\nxEVCXR_BEGIN_CONTENT text/html\nEVCXR\n";
        let shown = without_control_words(text);
        assert!(!shown.contains("EVCXR_"), "{shown}");
        assert_eq!(shown.replace('\u{2060}', ""), text);
    }
}
