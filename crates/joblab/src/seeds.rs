//! [`seeds`]: random streams that do not depend on who runs which task.

/// One number for each task, to seed its random generator with: the same for the same `seed` and the
/// same place in the list, whatever the backend and `n_jobs`.
///
/// The numbers are those of SplitMix64, made to seed other generators (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014). The iterator does not end.
///
/// ```
/// # use joblab::{Parallel, seeds};
/// fn throw_dice((seed, throws): (u64, usize)) -> u64 {
///     seeds(seed).take(throws).map(|random| random % 6 + 1).sum()
/// }
/// let inputs = || seeds(42).zip([1000; 8]);
/// let two = Parallel::new(2).map(throw_dice, inputs())?;
/// let five = Parallel::new(5).map(throw_dice, inputs())?;
/// assert_eq!(two.results, five.results);
/// # Ok::<(), joblab::Error>(())
/// ```
pub fn seeds(seed: u64) -> impl Iterator<Item = u64> + Clone {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    (1..=u64::MAX).cycle().map(move |nth| {
        let mut z = seed.wrapping_add(nth.wrapping_mul(GAMMA));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_those_of_the_reference_implementation() {
        // Vigna's splitmix64.c, seeded with 1234567.
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert!(super::seeds(1_234_567).take(3).eq(expected));
    }
}
