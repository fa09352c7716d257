//! Tasks that are tried again: which, and how often.

use std::collections::HashMap;
use std::ops::Range;

/// The attempts of a call's tasks.
pub(super) struct Retries {
    /// How many more attempts a task has after the first.
    attempts: u32,
    /// Tasks to be handed out once more, each in a batch of its own.
    again: Vec<usize>,
    /// How often tasks have failed.
    failures: HashMap<usize, u32>,
}

impl Retries {
    pub(super) fn new(attempts: u32) -> Self {
        Retries { attempts, again: Vec::new(), failures: HashMap::new() }
    }

    /// Whether tasks may be tried again at all.
    pub(super) fn are_allowed(&self) -> bool {
        self.attempts > 0
    }

    /// The next task to be handed out once more.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.again.pop()
    }

    /// Plans to hand out tasks once more, without counting an attempt.
    pub(super) fn plan(&mut self, tasks: Range<usize>) {
        self.again.extend(tasks.rev());
    }

    /// Counts a failure, and plans another attempt if the call goes on and the task has one left.
    pub(super) fn try_again(&mut self, index: usize, goes_on: bool) -> bool {
        if !self.are_allowed() {
            return false;
        }
        let failures = self.failures.entry(index).or_default();
        *failures += 1;
        let again = goes_on && *failures <= self.attempts;
        if again {
            self.again.push(index);
        }
        again
    }

    /// Which attempt of a task has just failed, and of how many. None where there is but one.
    pub(super) fn attempt(&self, index: usize) -> Option<(u32, u32)> {
        self.failures.get(&index).map(|&failures| (failures, self.attempts.saturating_add(1)))
    }

    /// Plans nothing any more.
    pub(super) fn clear(&mut self) {
        self.again.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_fails_is_counted_also_where_no_other_follows() {
        let mut retries = Retries::new(2);
        assert_eq!(retries.attempt(7), None);
        assert!(retries.try_again(7, true));
        assert_eq!((retries.next(), retries.attempt(7)), (Some(7), Some((1, 3))));
        // The call is stopped meanwhile.
        assert!(!retries.try_again(7, false));
        assert_eq!((retries.next(), retries.attempt(7)), (None, Some((2, 3))));
        let mut none = Retries::new(0);
        assert!(!none.try_again(7, true));
        assert_eq!(none.attempt(7), None);
    }
}
