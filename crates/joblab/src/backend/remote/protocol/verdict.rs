//! The verdict that each reply begins with.

use crate::codec::Fields;

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    // Of a worker process:
    /// The tasks have run, as far as their rules let them.
    Done = 0,
    /// The function cannot be called there.
    NoFunction = 1,
    // Of a Dask worker, which has no answer of its process, or of the bridge, which has none of a Dask
    // worker:
    /// The process ended.
    Died = 2,
    /// The Dask worker ended, and so did others that were given the batch.
    Killed = 3,
    /// The task took longer than it may.
    Late = 4,
    /// Something went wrong in Dask.
    Lost = 5,
}

impl Verdict {
    pub(super) const ALL: [Verdict; 6] = [
        Verdict::Done,
        Verdict::NoFunction,
        Verdict::Died,
        Verdict::Killed,
        Verdict::Late,
        Verdict::Lost,
    ];

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let number = fields.u64()?;
        Verdict::ALL.into_iter().find(|&verdict| verdict as u64 == number)
    }
}
