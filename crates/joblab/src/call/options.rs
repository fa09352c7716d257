//! What a call may be asked for.

use std::fmt;
use std::time::Duration;

use super::cancel::CancelToken;
use super::progress::OnProgress;
use super::resume::ResumeFrom;
use crate::error::Error;

/// The options of [`Parallel`](crate::Parallel), each as its method explains it.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) batch_size: Option<usize>,
    pub(crate) pre_dispatch: Option<usize>,
    pub(crate) retries: u32,
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) cancel_token: Option<CancelToken>,
    pub(crate) verbose: u32,
    pub(crate) on_progress: Option<OnProgress>,
    pub(crate) resume: Option<ResumeFrom>,
}

impl Options {
    fn counts(&self) -> [(&'static str, Option<usize>); 2] {
        [("batch_size", self.batch_size), ("pre_dispatch", self.pre_dispatch)]
    }

    fn limits(&self) -> [(&'static str, Option<Duration>); 3] {
        [
            ("task_timeout", self.task_timeout),
            ("call_timeout", self.call_timeout),
            ("stall_timeout", self.stall_timeout),
        ]
    }

    /// The limit of a task, where one that took so long was too late.
    pub(crate) fn exceeded(&self, wall: Duration) -> Option<Duration> {
        self.task_timeout.filter(|limit| wall > *limit)
    }

    /// Whether the options make sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some((option, _)) = self.counts().iter().find(|(_, count)| *count == Some(0)) {
            return Err(Error::zero(option, "1 or more tasks"));
        }
        let is_zero = |limit: Option<Duration>| limit == Some(Duration::ZERO);
        if let Some((option, _)) = self.limits().iter().find(|(_, limit)| is_zero(*limit)) {
            return Err(Error::zero(option, "a duration above zero"));
        }
        Ok(())
    }
}

/// Shows what was chosen.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unless_zero = |number: u32| Some(number as usize).filter(|&number| number > 0);
        let others =
            [("retries", unless_zero(self.retries)), ("verbose", unless_zero(self.verbose))];
        for (name, count) in self.counts().into_iter().chain(others) {
            count.map_or(Ok(()), |count| write!(f, ", {name}={count}"))?;
        }
        for (name, limit) in self.limits() {
            limit.map_or(Ok(()), |limit| write!(f, ", {name}={limit:?}"))?;
        }
        if let Some(ResumeFrom { path, .. }) = &self.resume {
            write!(f, ", resume={}", path.display())?;
        }
        Ok(())
    }
}
