//! Workers that are processes of their own, here or on other machines, and what they have in common:
//! how a function of this process is called there. Linux only.

mod dask;
mod exit;
mod image;
mod lines;
mod multiprocessing;
mod outlet;
mod shipping;
mod sys;
mod wire;
mod worker;

use super::Pool;
use crate::error::Error;

/// A pool of processes on this machine.
pub(super) fn processes(n_jobs: usize) -> Result<Box<dyn Pool>, Error> {
    Ok(Box::new(multiprocessing::Processes::start(n_jobs)?))
}

/// The workers of a Dask cluster.
pub(super) fn dask(n_jobs: usize, scheduler: Option<&str>) -> Result<Box<dyn Pool>, Error> {
    Ok(Box::new(dask::Cluster::start(n_jobs, scheduler)?))
}

/// A batch's frame around a body.
#[cfg(feature = "inside")]
pub(crate) fn frame_of_batch(body: &[u8]) -> Vec<u8> {
    wire::frame(wire::Kind::Batch, body)
}

/// Reads all frames there are; the bytes of their bodies.
#[cfg(feature = "inside")]
pub(crate) fn read_frames(socket: &[u8]) -> usize {
    let mut decoder = wire::Decoder::new(socket);
    std::iter::from_fn(|| decoder.next().ok().flatten()).map(|(_, body)| body.len()).sum()
}
