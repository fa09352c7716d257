//! Waiting without going to sleep at once: to be woken takes longer than a short task does.

use std::thread;

/// How often [`spin`] looks. After rayon, whose threads look 32 times before they get sleepy
/// (rayon-core/src/sleep/mod.rs, `ROUNDS_UNTIL_SLEEPY`); from 16 on nothing more was gained.
const LOOKS: usize = 16;

/// Looks some times for what may come in a moment, and lets other threads run in between. None where
/// it has not come, and the caller should sleep until it does.
pub(crate) fn spin<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    (0..LOOKS).find_map(|_| {
        let found = look();
        if found.is_none() {
            thread::yield_now();
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_at_what_it_finds_and_does_not_look_for_ever() {
        let mut looks = 0..;
        assert_eq!(spin(|| looks.next().filter(|look| *look == 3)), Some(3));
        assert_eq!(looks.next(), Some(4));
        assert_eq!(spin(|| looks.next().filter(|_| false)), None);
        assert_eq!(looks.next(), Some(5 + LOOKS));
    }
}
