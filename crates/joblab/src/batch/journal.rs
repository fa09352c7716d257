//! What a worker process notes of the batch that it runs, in memory that its parent has too.
//!
//! When the worker dies, its parent reads there how far it came: which task was running, and the
//! outcomes of those that had ended, which are not lost then, and need not run again. Outcomes are
//! noted only where the call goes on after a failure; there is room for about a megabyte of them.
//!
//! The memory is a list of numbers. The first ones are the [places](Place), and behind them come the
//! outcomes of the tasks that have ended, in order, of each its tag and length, its [times](TaskTimes) and
//! the bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::measure::TaskTimes;
use crate::os::Descriptor;
use crate::shared::{Segment, Words};

/// As many numbers as there are.
const WORDS: usize = 1 << 17;
/// The first that is an outcome's.
const FIRST: usize = 8;
/// As many numbers as stand in front of an outcome's bytes.
const HEAD: usize = 2 + TaskTimes::NUMBERS;
/// The tag of an outcome for which there was no room.
const NO_ROOM: u64 = u64::MAX;
/// For how many tasks have ended, where that is not noted.
const NOT_NOTED: u64 = u64::MAX;

/// Where the numbers are that are no outcomes.
#[derive(Clone, Copy)]
enum Place {
    /// Whether the worker has the journal.
    Open = 0,
    /// How many batches the worker has begun.
    Batches = 1,
    /// How many tasks of the last one it has begun.
    Begun = 2,
    /// How many of those have ended, and been noted.
    Ended = 3,
    /// Whether it loads a library or makes its state for the next batch.
    Prepares = 4,
}

/// The journal in the worker.
pub(crate) struct Journal {
    words: Words,
    batches: u64,
    begun: u64,
    /// None where outcomes are not noted.
    ended: Option<u64>,
    at: usize,
}

impl Journal {
    pub(crate) fn open(file: Descriptor) -> std::io::Result<Journal> {
        let words = Words::open(file, WORDS)?;
        let journal = Journal { words, batches: 0, begun: 0, ended: None, at: FIRST };
        journal.set(Place::Open, 1);
        Ok(journal)
    }

    /// A store that no later one overtakes: this process may end after any of them.
    fn set(&self, place: Place, number: u64) {
        self.words[place as usize].store(number, Ordering::Release);
    }

    /// Notes whether the worker does what is no task's own, and may end it.
    pub(crate) fn prepares(&self, prepares: bool) {
        self.set(Place::Prepares, prepares.into());
    }

    /// `notes`: whether to note outcomes.
    pub(super) fn begin_batch(&mut self, notes: bool) {
        self.batches += 1;
        self.begun = 0;
        self.ended = notes.then_some(0);
        self.at = FIRST;
        self.set(Place::Begun, 0);
        self.set(Place::Ended, self.ended.unwrap_or(NOT_NOTED));
        self.set(Place::Batches, self.batches);
    }

    #[inline]
    pub(super) fn begin_task(&mut self) {
        self.begun += 1;
        self.set(Place::Begun, self.begun);
    }

    #[inline]
    pub(super) fn notes(&self) -> bool {
        self.ended.is_some()
    }

    /// Notes a task's outcome.
    pub(super) fn end_task(&mut self, tag: u64, outcome: &[u8], times: TaskTimes) {
        let Some(ended) = &mut self.ended else { return };
        *ended += 1;
        let ended = *ended;
        let room = (self.words.len() - self.at).saturating_sub(HEAD);
        let fits = outcome.len() <= 8 * room;
        let (tag, outcome) = if fits { (tag, outcome) } else { (NO_ROOM, &[][..]) };
        if self.words.len() - self.at >= HEAD {
            let head = [tag, outcome.len() as u64].into_iter().chain(times.to_numbers());
            let (words, rest) = outcome.as_chunks();
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            let bytes = words.iter().chain((!rest.is_empty()).then_some(&last));
            let numbers = head.chain(bytes.map(|word| u64::from_le_bytes(*word)));
            let mut places = self.words[self.at..].iter();
            for (number, place) in numbers.zip(places.by_ref()) {
                place.store(number, Ordering::Relaxed);
            }
            self.at = self.words.len() - places.len();
        }
        self.set(Place::Ended, ended);
    }
}

/// The journal in the worker's parent.
pub(crate) struct JournalReader(Words);

/// How far a worker came that has died.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WorkerProgress {
    /// It has no journal.
    Unknown,
    /// It had not begun any task of the batch. `prepares`: it was getting ready for it.
    NotBegun { prepares: bool },
    /// It had begun so many tasks of the batch, and nothing is known of how they ended.
    Begun(usize),
    /// It had begun so many, of which these had ended.
    Noted { begun: usize, ended: Vec<Noted> },
}

/// The outcome of a task as it was noted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Tag and bytes; none where there was no room.
    pub(super) outcome: Option<(u64, Vec<u8>)>,
    /// Its [times](TaskTimes).
    pub(super) times: [u64; TaskTimes::NUMBERS],
}

impl JournalReader {
    pub(crate) fn new() -> std::io::Result<JournalReader> {
        Words::zeroed(c"journal", WORDS).map(JournalReader)
    }

    /// To be handed over to the worker.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.0.segment()
    }

    fn get(&self, place: Place) -> u64 {
        self.0[place as usize].load(Ordering::Acquire)
    }

    /// How far the worker, which has ended, came with the batch after `answered` others.
    pub(crate) fn progress(&self, answered: u64) -> WorkerProgress {
        let begun = self.get(Place::Begun) as usize;
        match self.get(Place::Batches).checked_sub(answered) {
            _ if self.get(Place::Open) == 0 => WorkerProgress::Unknown,
            Some(0) => WorkerProgress::NotBegun { prepares: self.get(Place::Prepares) != 0 },
            Some(1) if begun == 0 => WorkerProgress::NotBegun { prepares: false },
            Some(1) if self.get(Place::Ended) == NOT_NOTED => WorkerProgress::Begun(begun),
            Some(1) => {
                let ended = begun.min(self.get(Place::Ended) as usize);
                let mut at = FIRST;
                let ended = (0..ended).map(|_| self.noted(&mut at)).collect();
                WorkerProgress::Noted { begun, ended }
            }
            _ => WorkerProgress::Unknown,
        }
    }

    fn noted(&self, at: &mut usize) -> Noted {
        let mut numbers =
            self.0.get(*at..).unwrap_or_default().iter().map(|word| word.load(Ordering::Relaxed));
        let head: Vec<u64> = numbers.by_ref().take(HEAD).collect();
        let Ok::<[u64; HEAD], _>([tag, length, times @ ..]) = head.try_into() else {
            return Noted { outcome: None, times: [0; TaskTimes::NUMBERS] };
        };
        let words = length.div_ceil(8).min(WORDS as u64) as usize;
        *at += HEAD + words;
        let mut bytes: Vec<u8> = numbers.take(words).flat_map(u64::to_le_bytes).collect();
        bytes.truncate(length as usize);
        let outcome = (tag != NO_ROOM).then_some((tag, bytes));
        Noted { outcome, times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Laps;

    fn both() -> (Journal, JournalReader) {
        let reader = JournalReader::new().unwrap();
        let file = reader.segment().file().try_clone_to_owned().unwrap();
        assert_eq!(reader.progress(0), WorkerProgress::Unknown);
        (Journal::open(file).unwrap(), reader)
    }

    fn times() -> TaskTimes {
        let mut laps = Laps::start_in_process(1);
        laps.lap(11);
        laps.finish()[0]
    }

    /// The bytes that are noted of each task.
    fn noted(progress: WorkerProgress) -> (usize, Vec<Option<Vec<u8>>>) {
        let WorkerProgress::Noted { begun, ended } = progress else { panic!("{progress:?}") };
        (begun, ended.into_iter().map(|noted| Some(noted.outcome?.1)).collect())
    }

    #[test]
    fn the_parent_reads_how_far_the_worker_came() {
        let (mut journal, reader) = both();
        assert_eq!(reader.progress(0), WorkerProgress::NotBegun { prepares: false });
        journal.prepares(true);
        assert_eq!(reader.progress(0), WorkerProgress::NotBegun { prepares: true });
        journal.prepares(false);
        journal.begin_batch(false);
        assert_eq!(reader.progress(0), WorkerProgress::NotBegun { prepares: false });
        journal.begin_task();
        journal.begin_task();
        assert_eq!(reader.progress(0), WorkerProgress::Begun(2));
        assert_eq!(
            reader.progress(1),
            WorkerProgress::NotBegun { prepares: false },
            "the next batch"
        );

        journal.begin_batch(true);
        let outcomes: [&[u8]; 4] = [b"", b"12345678", b"a little more", &[7; 1000]];
        let time = times();
        for outcome in outcomes {
            journal.begin_task();
            journal.end_task(3, outcome, time);
        }
        journal.begin_task();
        let progress = reader.progress(1);
        let WorkerProgress::Noted { begun: 5, ended } = &progress else { panic!("{progress:?}") };
        assert!(ended.iter().all(|noted| noted.times == time.to_numbers()));
        assert!(ended.iter().all(|noted| noted.outcome.as_ref().unwrap().0 == 3));
        let expected = outcomes.iter().map(|outcome| Some(outcome.to_vec()));
        assert_eq!(noted(progress), (5, expected.collect()));
    }

    #[test]
    fn what_does_not_fit_is_known_to_be_lost() {
        let (mut journal, reader) = both();
        for _ in 0..2 {
            journal.begin_batch(true);
            // One that is too large, and then more than there is room for.
            let large = vec![1; 8 * WORDS];
            for outcome in [&large, &large[..500_000], &large[..500_000], &large[..10_000]] {
                journal.begin_task();
                journal.end_task(0, outcome, times());
            }
            for _ in 0..4000 {
                journal.begin_task();
                journal.end_task(0, b"small", times());
            }
            let (begun, outcomes) = noted(reader.progress(journal.batches - 1));
            assert_eq!((begun, outcomes.len()), (4004, 4004));
            let lengths: Vec<_> =
                outcomes.iter().map(|bytes| Some(bytes.as_ref()?.len())).collect();
            assert_eq!(lengths[..5], [None, Some(500_000), Some(500_000), Some(10_000), Some(5)]);
            let kept = lengths[4..].iter().take_while(|length| **length == Some(5)).count();
            assert!((500..1000).contains(&kept), "{kept}");
            assert!(lengths[4 + kept + 1..].iter().all(Option::is_none));
        }
    }
}
