//! A Dask cluster: its own scheduler and workers, reached through Dask's own client.
//!
//! ```text
//!  calling thread       bridge: a Python process,        Dask worker      process of its own
//!  --------------       with a distributed.Client        -----------      ------------------
//!  argument to bytes -> ---- frames ----> a Dask task -> a thread   ----> the worker of
//!  result from bytes <- ---- frames <---- its future  <-            <---- `worker_main.rs`
//! ```
//!
//! The program, or a cell's library and the standard library that it links, travel as bytes, once to
//! each Dask worker. What goes over the wires between is Dask's, with Dask's configuration.

mod bridge;
mod cluster;
mod writer;

pub(super) use self::bridge::Wanted;
pub(super) use self::cluster::Cluster;
