//! Outcomes on their way to the caller: in the order of the list, all together or one by one, or as
//! they come. What a result is, nobody here knows: a batch's results are one value.

use std::collections::VecDeque;
use std::ops::Range;

use crate::batch::Results;
use crate::error::Error;
use crate::measure;

/// Takes results, of which it knows the type.
pub(super) trait Take {
    /// Takes the next results of a batch: those of these tasks. `succeeded` is whether the tasks have.
    fn take(&mut self, tasks: Range<usize>, succeeded: bool, results: &mut Results);
}

/// Takes what the engine gives.
pub(super) trait Collect {
    /// The results of a batch; its tasks follow, in order.
    fn batch(&mut self, results: Results);

    /// Tasks of that batch have succeeded; the next results of the batch are theirs.
    fn succeeded(&mut self, measured: measure::Segment);

    /// A task of that batch has failed for good. `has_result`: whether the next of the batch's results is
    /// its own.
    fn failed(&mut self, index: usize, error: Error, has_result: bool);

    /// How many results wait for their consumer.
    fn held(&self) -> usize {
        0
    }
}

/// Tasks that follow each other in the list, and whose results do so in their batch.
struct Segment {
    tasks: Range<usize>,
    /// The place of their batch.
    batch: usize,
    /// Whether the tasks have succeeded.
    succeeded: bool,
}

/// All outcomes of a call.
#[derive(Default)]
pub(super) struct All {
    batches: Vec<Results>,
    segments: Vec<Segment>,
    pub(super) measured: Vec<measure::Segment>,
    /// The first failure of a task.
    pub(super) failure: Option<Error>,
}

impl All {
    fn push(&mut self, tasks: Range<usize>, succeeded: bool) {
        self.segments.push(Segment { tasks, batch: self.batches.len() - 1, succeeded });
    }

    /// Gives all results to `taken`, in the order of the list.
    pub(super) fn give_to(&mut self, taken: &mut dyn Take) {
        self.segments.sort_unstable_by_key(|segment| segment.tasks.start);
        for Segment { tasks: range, batch, succeeded } in self.segments.drain(..) {
            taken.take(range, succeeded, &mut self.batches[batch]);
        }
    }
}

impl Collect for All {
    fn batch(&mut self, results: Results) {
        self.batches.push(results);
    }

    fn succeeded(&mut self, measured: measure::Segment) {
        self.push(measured.tasks(), true);
        self.measured.push(measured);
    }

    fn failed(&mut self, index: usize, error: Error, has_result: bool) {
        self.failure.get_or_insert(error);
        if has_result {
            self.push(index..index + 1, false);
        }
    }
}

/// How a task ended, for a consumer that takes one after the other.
struct Outcome {
    index: usize,
    /// The number of the batch that the result is in, where there is one.
    batch: Option<usize>,
    error: Option<Error>,
}

/// Outcomes that wait for their consumer.
#[derive(Default)]
pub(super) struct OutcomeQueue {
    /// Whether they come in the order of the list.
    is_ordered: bool,
    /// The outcomes of the next tasks, where they are there.
    ready: VecDeque<Option<Outcome>>,
    /// Where outcomes are ordered, the index of the first of them.
    next: usize,
    batches: VecDeque<Option<(Results, usize)>>,
    /// The number of the first of these.
    first_batch: usize,
}

impl OutcomeQueue {
    pub(super) fn ordered() -> Self {
        OutcomeQueue { is_ordered: true, ..OutcomeQueue::default() }
    }

    pub(super) fn unordered() -> Self {
        OutcomeQueue::default()
    }

    /// Whether the next outcome is there.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.ready.front(), Some(Some(_)))
    }

    /// Takes the next outcome, if it is there. `taken` is given its result.
    pub(super) fn take(&mut self, taken: &mut dyn Take) -> Option<(usize, Result<(), Error>)> {
        let outcome = if self.is_ready() { self.ready.pop_front()?? } else { return None };
        self.next += 1;
        let index = outcome.index;
        Some((index, self.result_of(outcome, taken)))
    }

    /// Takes all that is behind a gap which will not be filled.
    pub(super) fn take_behind_gap(&mut self, taken: &mut dyn Take) {
        for outcome in std::mem::take(&mut self.ready).into_iter().flatten() {
            let _ = self.result_of(outcome, taken);
        }
    }

    fn result_of(&mut self, outcome: Outcome, taken: &mut dyn Take) -> Result<(), Error> {
        let Outcome { index, batch, error } = outcome;
        if let Some(batch) = batch {
            taken.take(index..index + 1, error.is_none(), self.batch_of(batch));
            self.leave(batch);
        }
        error.map_or(Ok(()), Err)
    }

    fn batch_of(&mut self, batch: usize) -> &mut Results {
        let batch = &mut self.batches[batch - self.first_batch];
        &mut batch.as_mut().expect("it stays until all of its outcomes are taken").0
    }

    /// An outcome of a batch has been taken.
    fn leave(&mut self, batch: usize) {
        let place = &mut self.batches[batch - self.first_batch];
        if let Some((_, outcomes)) = place {
            *outcomes -= 1;
            if *outcomes == 0 {
                *place = None;
            }
        }
        while self.batches.len() > 1 && matches!(self.batches.front(), Some(None)) {
            self.batches.pop_front();
            self.first_batch += 1;
        }
    }
}

impl Collect for OutcomeQueue {
    fn batch(&mut self, results: Results) {
        // One that no outcome was in is never left.
        if let Some(last) = self.batches.back_mut()
            && last.as_ref().is_some_and(|(_, outcomes)| *outcomes == 0)
        {
            *last = None;
        }
        self.batches.push_back(Some((results, 0)));
    }

    fn succeeded(&mut self, measured: measure::Segment) {
        measured.tasks().for_each(|index| self.push(index, None, true));
    }

    fn failed(&mut self, index: usize, error: Error, has_result: bool) {
        self.push(index, Some(error), has_result);
    }

    /// What comes as it is ready takes up no room ahead.
    fn held(&self) -> usize {
        if self.is_ordered { self.ready.iter().flatten().count() } else { 0 }
    }
}

impl OutcomeQueue {
    fn push(&mut self, index: usize, error: Option<Error>, has_result: bool) {
        let batch = has_result.then(|| self.first_batch + self.batches.len() - 1);
        if has_result && let Some(Some((_, outcomes))) = self.batches.back_mut() {
            *outcomes += 1;
        }
        let outcome = Some(Outcome { index, batch, error });
        if !self.is_ordered {
            self.ready.push_back(outcome);
            return;
        }
        let place = index - self.next;
        if self.ready.len() <= place {
            self.ready.resize_with(place + 1, || None);
        }
        self.ready[place] = outcome;
    }
}
