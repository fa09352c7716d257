//! What goes along with a job, so that a function of this process can be called in another one.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::framing::{self, Kind};
use super::images::{Image, ImageAddress};
use super::protocol::{Head, ImageName};
use crate::batch::{self, Completion, Packed, PackedState};
use crate::codec::WriteParts;
use crate::error::Error;
use crate::os::{self, lock};
use crate::pool::Job;
use crate::shared::{Attachments, Filled};

/// What follows a batch's first frame.
pub(crate) enum Piece {
    /// A part of the argument, as a frame.
    Frame(Vec<u8>),
    /// A part that lies in the pool's lane.
    Slot(Filled),
    /// Shared memory that the next frame speaks of.
    Attachments(Attachments),
    /// Why it ends too early.
    Torn(Error),
}

pub(crate) type Pieces = Receiver<Piece>;

/// A batch of tasks on its way to a worker.
pub(crate) struct PackedBatch {
    pub(crate) frame: Arc<Vec<u8>>,
    /// Whether the worker needs its state for it.
    pub(crate) needs_state: bool,
    /// Shared memory that the frame speaks of.
    pub(crate) attachments: Attachments,
    /// How often it was given to a worker that died before it began.
    pub(crate) in_vain: u32,
    /// Whether its argument comes in parts, which are not kept.
    pub(crate) is_in_parts: bool,
    /// What follows the frame.
    pub(crate) pieces: Option<Pieces>,
    pub(crate) completion: Completion,
}

impl PackedBatch {
    /// Parts with the tasks behind the first `begun` ones, as a batch that can be sent to another
    /// worker. None where there are none.
    pub(crate) fn split_off(&mut self, begun: usize) -> Option<PackedBatch> {
        let (head, batch) = Head::read(&self.frame[framing::HEADER..])?;
        let rest = batch::without_first(batch, begun)?;
        let mut frame = Head::leave_room(Kind::Batch);
        frame.extend(rest);
        head.fill_in(&mut frame);
        framing::seal(&mut frame);
        let first = self.completion.places().start + begun;
        Some(PackedBatch {
            frame: Arc::new(frame),
            needs_state: self.needs_state,
            attachments: self.attachments.clone(),
            in_vain: 0,
            is_in_parts: false,
            pieces: None,
            completion: self.completion.split_off(first),
        })
    }

    /// Lets go of the message first: once it is answered, its shared memory is the caller's alone.
    pub(crate) fn into_completion(self) -> Completion {
        self.completion
    }
}

/// What is still to be written of a batch, and where.
pub(crate) type Rest = (WriteParts, Sender<Piece>);

/// The images that tasks' functions live in, numbered in the order in which workers learn of them.
#[derive(Default)]
pub(crate) struct Packer {
    /// None where it may have been unloaded: there may be another one in its place, even one whose file
    /// looks the same.
    images: Vec<Option<Image>>,
    frames: Vec<Arc<Vec<u8>>>,
    addresses: HashMap<usize, ImageAddress>,
    /// How many libraries had been unloaded when the addresses were looked up.
    unloaded: u64,
    /// As many had been unloaded when workers were last told of libraries that may be among those.
    edition: u64,
    /// How a worker makes its state, where the pool's workers have one.
    pub(crate) state: Option<Arc<Vec<u8>>>,
    /// The shared memory that is in that.
    pub(crate) state_attachments: Attachments,
}

impl Packer {
    /// Writes a job down, and notes what workers need for it. Where the pool `streams`, a large argument
    /// is left to be written when the batch is on its way.
    pub(crate) fn pack(
        packer: &Mutex<Packer>,
        job: Job,
        streams: bool,
    ) -> Result<(PackedBatch, Option<Rest>), Error> {
        let Job { work, completion } = job;
        let message = Head::leave_room(Kind::Batch);
        let packed = batch::pack(work, completion, message, streams)?;
        let Packed { message: mut frame, function, trampoline, state, .. } = packed;
        let Packed { attachments, parts, completion, .. } = packed;
        let needs_state = state.is_some();
        let packed = {
            let mut packer = lock(packer);
            let head = packer.head([trampoline, function]);
            let head = head.map(|head| head.fill_in(&mut frame));
            head.and_then(|()| state.map_or(Ok(()), |state| packer.pack_state(&state)))
        };
        if let Err(reason) = packed {
            return Err(Error::function(completion.first(), reason));
        }
        framing::seal(&mut frame);
        let (rest, pieces) = parts
            .map(|parts| {
                let (sender, pieces) = mpsc::channel();
                ((parts, sender), pieces)
            })
            .unzip();
        Ok((
            PackedBatch {
                frame: Arc::new(frame),
                needs_state,
                attachments,
                in_vain: 0,
                is_in_parts: pieces.is_some(),
                pieces,
                completion,
            },
            rest,
        ))
    }

    /// Where an address of this process is found in a worker.
    pub(crate) fn image_address(&mut self, address: usize) -> Result<ImageAddress, String> {
        self.forget_unloaded();
        if let Some(known) = self.addresses.get(&address) {
            return Ok(*known);
        }
        let (image, offset) = Image::of_address(address)?;
        let known = self.images.iter().position(|known| known.as_ref() == Some(&image));
        let number = known.unwrap_or_else(|| {
            self.frames.push(Arc::new(name_of(&image).frame()));
            self.images.push(Some(image));
            self.images.len() - 1
        });
        let found = ImageAddress { image: number as u64, offset };
        self.addresses.insert(address, found);
        Ok(found)
    }

    /// Where a library was unloaded, whichever it was, no address is known any more. Batches that are
    /// on their way keep their images' numbers.
    fn forget_unloaded(&mut self) {
        let unloaded = os::count_unloaded();
        if self.unloaded == unloaded {
            return;
        }
        self.unloaded = unloaded;
        self.addresses.clear();
        let loaded = os::loaded_images();
        for (image, frame) in self.images.iter_mut().zip(&mut self.frames) {
            if let Some(library) = image.take_if(|image| !image.is_program) {
                self.edition = unloaded;
                if !loaded.iter().any(|loaded| library.is(loaded)) {
                    *frame = Arc::new(ImageName::Unloaded.frame());
                }
            }
        }
    }

    /// Workers of another edition may have libraries that were unloaded here since, so that the loader
    /// there would take them for what has come in their place.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// Where a worker finds these addresses.
    fn head(&mut self, [first, second]: [usize; 2]) -> Result<Head, String> {
        Ok(Head([self.image_address(first)?, self.image_address(second)?]))
    }

    fn pack_state(&mut self, state: &PackedState) -> Result<(), String> {
        if self.state.is_none() {
            let mut frame = Head::leave_room(Kind::State);
            self.head([state.maker, state.function])?.fill_in(&mut frame);
            let context = state.context.as_ref();
            let context = context.map_err(|reason| format!("its context: {reason}"))?;
            frame.extend(&context.bytes);
            self.state_attachments.clone_from(&context.attachments);
            framing::seal(&mut frame);
            self.state = Some(Arc::new(frame));
        }
        Ok(())
    }

    /// The messages that tell a worker of all images from the given one on.
    pub(crate) fn frames_from(&self, first: usize) -> impl Iterator<Item = Arc<Vec<u8>>> {
        self.frames[first..].iter().cloned()
    }
}

/// How a worker is told of an image.
fn name_of(image: &Image) -> ImageName<'_> {
    match image {
        Image { is_program: true, .. } => ImageName::Program,
        Image { identity, path, .. } => ImageName::Library { identity, path },
    }
}
