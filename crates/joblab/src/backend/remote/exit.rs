//! How processes end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

/// Ends a process and removes it from the system's table. One that is ending by itself keeps its
/// own status: the system has noted that before it closes the socket.
pub(crate) fn end(child: &mut Child) -> String {
    // An error means that it has been waited for already.
    let _ = child.kill();
    match child.wait() {
        Ok(status) => describe(status),
        Err(error) => format!("ended, and the system cannot say how: {error}"),
    }
}

/// A process's end in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("ended with exit status {}", status.code().unwrap_or_default());
    };
    let name = match signal {
        libc::SIGILL => "SIGILL, an illegal instruction",
        libc::SIGABRT => "SIGABRT, as after abort()",
        libc::SIGBUS => "SIGBUS, a memory access that failed",
        libc::SIGFPE => "SIGFPE, an arithmetic error",
        libc::SIGKILL => "SIGKILL, perhaps because memory ran out",
        libc::SIGSEGV => "SIGSEGV, a memory access that is not allowed, or a stack overflow",
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT, as after Ctrl-C",
        _ => return format!("was killed by signal {signal}"),
    };
    format!("was killed by signal {signal} ({name})")
}
