//! Doors for the benchmarks of this workspace to what has no public name. No part of the interface:
//! it changes without notice.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::remote;
use crate::codec;
use crate::codec::parts::Sink;

/// Writes a value as an argument travels, behind what is there.
pub fn write<T: Serialize + 'static>(value: &T, bytes: &mut Vec<u8>) {
    codec::append(value, &mut Sink::growing(bytes)).expect("serde writes it");
}

/// Reads it as a worker does.
pub fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> T {
    codec::read(bytes).expect("it was written by `write`")
}

/// So many frames, as they stand in a socket.
pub fn frames(bodies: usize, length: usize) -> Vec<u8> {
    remote::frame_of_batch(&vec![7; length]).repeat(bodies)
}

/// Reads frames, and says how many bytes their bodies had.
pub fn read_frames(socket: &[u8]) -> usize {
    remote::read_frames(socket)
}
