//! Everything that we know of evcxr, the Rust kernel of Jupyter notebooks.

pub(crate) mod backtraces;
pub(crate) mod display;
pub(crate) mod facts;
mod line;
pub(crate) mod stdout_turn;
