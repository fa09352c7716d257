//! Work that borrows from the caller, who waits until all of it has ended.
#![allow(unsafe_code)]

use std::mem::transmute;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::queue::Work;
use crate::os::{lock, spin};
use crate::pool::{InScope, Spawn};

/// Calls `call` with a way to spawn work, which `hand_over` takes, and returns when all that was
/// spawned has been run or dropped, also where the call panics.
pub(super) fn run<'scope>(hand_over: &dyn Fn(Work), call: InScope<'_, 'scope>) {
    let scope = Scope { hand_over, under_way: Arc::default() };
    let _waits = Waits(&scope.under_way);
    call(&scope);
}

struct Scope<'a> {
    hand_over: &'a dyn Fn(Work),
    under_way: Arc<UnderWay>,
}

impl<'scope> Spawn<'scope> for Scope<'_> {
    fn spawn(&self, work: Box<dyn FnOnce() + Send + 'scope>) {
        // SAFETY: this only changes a lifetime. What the work borrows lives as long as the call of
        // `run`, of which `'scope` is a parameter, and that returns only when the counter below has
        // gone down again. It does so when the work is gone: a struct's fields are dropped in order.
        let work: Work = unsafe { transmute(work) };
        let spawned = Spawned { work: Some(work), _counted: Counted::new(&self.under_way) };
        (self.hand_over)(Box::new(move || spawned.run()));
    }
}

struct Spawned {
    work: Option<Work>,
    _counted: Counted,
}

impl Spawned {
    fn run(mut self) {
        if let Some(work) = self.work.take() {
            work();
        }
    }
}

/// How many pieces of work are not gone.
#[derive(Default)]
struct UnderWay {
    count: Mutex<usize>,
    none: Condvar,
}

struct Counted(Arc<UnderWay>);

impl Counted {
    fn new(under_way: &Arc<UnderWay>) -> Self {
        *lock(&under_way.count) += 1;
        Counted(Arc::clone(under_way))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut count = lock(&self.0.count);
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

/// Waits, when it is dropped, for all that is under way.
struct Waits<'a>(&'a UnderWay);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        // Mostly the last piece has told its result, and is about to go.
        if spin(|| (*lock(&self.0.count) == 0).then_some(())).is_some() {
            return;
        }
        let mut count = lock(&self.0.count);
        while *count > 0 {
            count = self.0.none.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
