//! For how long a thread has been runnable while no CPU was free: Linux tells.

#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::io::Read;
use std::time::Duration;

#[cfg(target_os = "linux")]
/// Tells for how long this thread has been runnable while no CPU was free: the second number of
/// `/proc/thread-self/schedstat` (proc(5), and Documentation/scheduler/sched-stats.rst of Linux).
pub(crate) struct RunnableClock(File);

#[cfg(target_os = "linux")]
impl RunnableClock {
    /// What it shows in a thread that is about to start.
    pub(crate) const AT_START: Option<Duration> = Some(Duration::ZERO);

    pub(crate) fn open() -> Option<Self> {
        File::open("/proc/thread-self/schedstat").ok().map(RunnableClock)
    }

    /// The time since the thread has started. None where the system keeps no account of it.
    pub(crate) fn read(mut self) -> Option<Duration> {
        let mut text = [0; 64];
        let length = self.0.read(&mut text).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
        // One that has never executed cannot have asked.
        let executed: u64 = numbers.next()??;
        let runnable = numbers.next()??;
        (executed > 0).then_some(Duration::from_nanos(runnable))
    }
}

/// Nobody tells here.
#[cfg(not(target_os = "linux"))]
pub(crate) enum RunnableClock {}

#[cfg(not(target_os = "linux"))]
impl RunnableClock {
    pub(crate) const AT_START: Option<Duration> = None;

    pub(crate) fn open() -> Option<Self> {
        None
    }

    pub(crate) fn read(self) -> Option<Duration> {
        match self {}
    }
}
