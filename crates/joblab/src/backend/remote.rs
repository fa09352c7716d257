//! What workers outside of this process have in common, here or on other machines: how a function of
//! this process is called there, and what goes over the wire.

pub(super) mod exit;
pub(super) mod framing;
pub(super) mod images;
pub(super) mod long_replies;
pub(super) mod output;
pub(super) mod packing;
pub(super) mod pool_thread;
pub(super) mod printer;
pub(super) mod protocol;
pub(super) mod socket;
pub(super) mod worker_main;
