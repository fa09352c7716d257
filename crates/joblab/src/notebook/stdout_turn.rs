//! Who writes to a notebook's standard output: what a cell shows is a block of lines, and no line of a
//! worker may stand in it.

use std::sync::Mutex;

use super::facts::is_evcxr;
use crate::os::{lock, process_wide};

process_wide! {
    /// Of all copies of this crate: any cell may show something while a pool of another one prints.
    static TURN: Mutex<()> = Mutex::new(()); as "joblab_turn"
}

/// Calls `write` while nothing else of this crate writes, in a notebook. No code of a user's holds
/// this up.
pub(crate) fn in_turn<T>(write: impl FnOnce() -> T) -> T {
    let _turn = is_evcxr().then(|| lock(TURN.get()));
    write()
}
