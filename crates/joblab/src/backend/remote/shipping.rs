//! What goes along with a job, so that a function of this process can be called in another one.

use std::collections::HashMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use super::image::{Image, Place};
use super::outlet::{Piece, Pieces};
use super::wire::{self, Kind};
use crate::backend::{Answer, Job, Packed};
use crate::codec::parts::WriteParts;
use crate::error::Error;
use crate::function::PackedState;
use crate::lock::lock;
use crate::travel::Kept;

/// A batch of tasks on its way to a worker.
pub(super) struct Parcel {
    pub(super) frame: Arc<Vec<u8>>,
    /// Whether the worker needs its state for it.
    pub(super) needs_state: bool,
    /// Shared memory that the frame speaks of.
    pub(super) kept: Kept,
    /// What follows the frame.
    pub(super) pieces: Option<Pieces>,
    pub(super) answer: Box<dyn Answer>,
}

impl Parcel {
    /// Lets go of the message first: once it is answered, its shared memory is the caller's alone.
    pub(super) fn into_answer(self) -> Box<dyn Answer> {
        self.answer
    }
}

/// What is still to be written of a batch, and where.
pub(super) type Rest = (WriteParts, Sender<Piece>);

/// The images that tasks' functions live in, numbered in the order in which workers learn of them.
#[derive(Default)]
pub(super) struct Shipping {
    images: Vec<Image>,
    frames: Vec<Arc<Vec<u8>>>,
    places: HashMap<usize, Place>,
    /// How a worker makes its state, where the pool's workers have one.
    pub(super) state: Option<Arc<Vec<u8>>>,
    /// The shared memory that is in that.
    pub(super) state_kept: Kept,
}

impl Shipping {
    /// Writes a job down, and notes what workers need for it. Where the pool `streams`, a large argument
    /// is left to be written when the parcel is on its way.
    pub(super) fn pack(
        shipping: &Mutex<Shipping>,
        job: Job,
        streams: bool,
    ) -> Result<(Parcel, Option<Rest>), Error> {
        let Packed { message: mut frame, function, trampoline, state, kept, answer, parts } =
            job.0.pack(wire::begin_with_places(Kind::Batch), streams)?;
        let needs_state = state.is_some();
        let packed = {
            let mut shipping = lock(shipping);
            let places = shipping.set_places(&mut frame, [trampoline, function]);
            places.and_then(|()| state.map_or(Ok(()), |state| shipping.pack_state(&state)))
        };
        if let Err(reason) = packed {
            return Err(Error::function(answer.tasks().start, reason));
        }
        wire::seal(&mut frame);
        let (rest, pieces) = parts
            .map(|parts| {
                let (sender, pieces) = mpsc::channel();
                ((parts, sender), pieces)
            })
            .unzip();
        Ok((Parcel { frame: Arc::new(frame), needs_state, kept, pieces, answer }, rest))
    }

    /// Where an address of this process is found in a worker.
    pub(super) fn place(&mut self, address: usize) -> Result<Place, String> {
        if let Some(place) = self.places.get(&address) {
            return Ok(*place);
        }
        let (image, offset) = Image::of_address(address)?;
        let known = self.images.iter().position(|known| *known == image);
        let number = known.unwrap_or_else(|| {
            let mut frame = wire::begin(Kind::Image);
            if !image.is_program {
                frame.extend(image.identity.as_bytes());
                frame.push(0);
                frame.extend(image.path.as_bytes());
            }
            wire::seal(&mut frame);
            self.frames.push(Arc::new(frame));
            self.images.push(image);
            self.images.len() - 1
        });
        let place = Place { image: number as u64, offset };
        self.places.insert(address, place);
        Ok(place)
    }

    /// Writes where a worker finds these addresses into the room that the frame has for it.
    fn set_places(&mut self, frame: &mut [u8], addresses: [usize; 2]) -> Result<(), String> {
        let room = frame[wire::HEADER..].chunks_exact_mut(16);
        for (room, address) in room.zip(addresses) {
            let place = self.place(address)?;
            room[..8].copy_from_slice(&place.image.to_le_bytes());
            room[8..].copy_from_slice(&place.offset.to_le_bytes());
        }
        Ok(())
    }

    fn pack_state(&mut self, state: &PackedState) -> Result<(), String> {
        if self.state.is_none() {
            let mut frame = wire::begin_with_places(Kind::State);
            self.set_places(&mut frame, [state.maker, state.function])?;
            let context = state.context.as_ref();
            let context = context.map_err(|reason| format!("its context: {reason}"))?;
            frame.extend(&context.bytes);
            self.state_kept.clone_from(&context.kept);
            wire::seal(&mut frame);
            self.state = Some(Arc::new(frame));
        }
        Ok(())
    }

    /// The messages that tell a worker of all images from the given one on.
    pub(super) fn frames_from(&self, first: usize) -> impl Iterator<Item = Arc<Vec<u8>>> {
        self.frames[first..].iter().cloned()
    }
}
