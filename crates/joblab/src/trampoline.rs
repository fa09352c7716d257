//! How a worker process calls a function that it knows only by its address.
//!
//! The types of a task are known where the call is made, and nowhere else. There the compiler makes
//! a trampoline for them, and its address travels with that of the function.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use crate::batch;
use crate::task::Data;

/// Runs a batch of written arguments with the function at the address, and appends the outcomes to
/// the reply: [`batch::run_written`] for types that the caller need not know.
type Trampoline = fn(usize, &[u8], &mut Vec<u8>);

/// The address of the trampoline for functions from `A` to `R`.
pub(crate) fn address_of<A: Data, R: Data>() -> usize {
    trampoline::<A, R> as Trampoline as *const c_void as usize
}

fn trampoline<A: Data, R: Data>(function: usize, arguments: &[u8], reply: &mut Vec<u8>) {
    let function = ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: `call`'s promise: this is the address of a function of this type.
    let function: fn(A) -> R = unsafe { std::mem::transmute(function) };
    batch::run_written(function, arguments, reply);
}

/// Calls a function through its trampoline.
///
/// # Safety
/// `trampoline` must be an address that [`address_of`] gave in this build of this crate, carried
/// over to where the same image is loaded in this process, and `function` that of a function with
/// the same `A` and `R`.
pub(crate) unsafe fn call(
    trampoline: usize,
    function: usize,
    arguments: &[u8],
    reply: &mut Vec<u8>,
) {
    let trampoline = ptr::with_exposed_provenance::<c_void>(trampoline);
    // SAFETY: the caller's promise: this is the address of a trampoline.
    let trampoline: Trampoline = unsafe { std::mem::transmute(trampoline) };
    trampoline(function, arguments, reply);
}
