//! How a worker process calls a function that it knows only by its address.
//!
//! The types of a task are known where the call is made, and nowhere else. There the compiler makes
//! a trampoline for them, and its address travels with that of the function.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use crate::codec;
use crate::task::Data;

/// Reads the argument, calls the function at the address, and appends the result to the reply.
/// The error says why the argument could not be read or the result not be written.
type Trampoline = fn(usize, &[u8], &mut Vec<u8>) -> Result<(), String>;

/// The address of the trampoline for functions from `A` to `R`.
pub(crate) fn address_of<A: Data, R: Data>() -> usize {
    trampoline::<A, R> as Trampoline as *const c_void as usize
}

fn trampoline<A: Data, R: Data>(
    function: usize,
    argument: &[u8],
    reply: &mut Vec<u8>,
) -> Result<(), String> {
    let function = ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: `call`'s promise: this is the address of a function of this type.
    let function: fn(A) -> R = unsafe { std::mem::transmute(function) };
    let argument = codec::read(argument)
        .map_err(|reason| format!("the worker could not read its argument: {reason}"))?;
    let result = function(argument);
    codec::append(&result, reply)
        .map_err(|reason| format!("the worker could not write it: {reason}"))
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
    argument: &[u8],
    reply: &mut Vec<u8>,
) -> Result<(), String> {
    let trampoline = ptr::with_exposed_provenance::<c_void>(trampoline);
    // SAFETY: the caller's promise: this is the address of a trampoline.
    let trampoline: Trampoline = unsafe { std::mem::transmute(trampoline) };
    trampoline(function, argument, reply)
}
