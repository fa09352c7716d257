//! What to do about what the system refused.

/// What helps where the system has refused something for the reason in this text, a sentence. Errors
/// of the system end in their number, also where serde has carried only their words.
pub(super) fn for_reason(reason: &str) -> Option<&'static str> {
    let number = reason.rsplit_once("(os error ")?.1.split_once(')')?.0;
    Some(match number.parse().ok()? {
        libc::EMFILE => {
            "A process has as many files open as it may: close some, or raise the limit (ulimit -n)"
        }
        libc::ENFILE => "The whole system has as many files open as it may: close some",
        libc::EAGAIN => {
            "Ask for fewer workers, or close programs that use many threads or processes"
        }
        libc::ENOMEM => "Ask for fewer workers or less memory, or close other programs",
        libc::ENOSPC => "The device is full: make room on it",
        libc::EACCES | libc::EPERM => {
            "The system forbids it: see what this user, and the container or sandbox around it, may do"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::for_reason;

    #[test]
    fn the_last_number_of_a_system_error_decides() {
        let words = |number| io::Error::from_raw_os_error(number).to_string();
        let files = for_reason(&words(libc::EMFILE)).unwrap();
        assert!(files.contains("ulimit -n"), "{files}");
        let wrapped = format!("no memory for it: {} at line 1", words(libc::EACCES));
        assert!(for_reason(&wrapped).unwrap().contains("forbids"));
        let both = format!("{}, and then {}", words(libc::EACCES), words(libc::EMFILE));
        assert_eq!(for_reason(&both), Some(files));
        for unknown in ["no reason", "(os error", "(os error x)", &words(libc::EXDEV)] {
            assert_eq!(for_reason(unknown), None, "{unknown}");
        }
    }
}
