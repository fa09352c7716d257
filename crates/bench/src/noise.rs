//! What of a difference between two runs is noise, by the spread of their repeats.

use crate::results::Measured;

/// The range of so many repeats of normally distributed logarithms, in standard deviations, from two repeats on
/// (Tippett, Biometrika 17, 364, 1925).
const RANGES: [f64; 10] = [1.128, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970, 3.078, 3.173];

/// Student's t that one of a thousand exceeds, for up to so many degrees of freedom: two repeats tell little
/// of a spread, and a run has some forty cases that all have to be below it.
const STUDENT: [(usize, f64); 8] = [
    (2, 22.33),
    (4, 7.173),
    (6, 5.208),
    (8, 4.501),
    (12, 3.930),
    (20, 3.552),
    (40, 3.307),
    (usize::MAX, 3.232),
];

/// Up to which factor the medians of these may combine to a ratio that is another in the next run, with nothing
/// changed. A repeat's own deviation is taken, and not the smaller one of a median: repeats share the pools of
/// their run, and the next run has others.
pub(crate) fn factor(measured: &[&Measured]) -> f64 {
    let variance: f64 = measured.iter().map(|it| deviation(it).powi(2)).sum();
    let freedom: usize = measured.iter().map(|it| it.repeats.saturating_sub(1)).sum();
    let student = STUDENT.iter().find(|(most, _)| freedom <= *most).map_or(0.0, |(_, t)| *t);
    (student * variance.sqrt()).exp()
}

/// The standard deviation of the repeats' logarithms, by how far the least lies below the median: one repeat
/// that a neighbour disturbed may lie far above. A single one tells nothing.
fn deviation(measured: &Measured) -> f64 {
    let Some(place) = measured.repeats.checked_sub(2) else {
        return f64::INFINITY;
    };
    let range = RANGES.get(place).copied().unwrap_or(RANGES[RANGES.len() - 1]);
    2.0 * (measured.median / measured.least).ln() / range
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Results;
    use crate::results::tests::results;
    use crate::who;

    /// Marsaglia's xorshift: the same numbers at each run.
    struct Random(u64);

    impl Random {
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// Close enough to normal: of mean 0 and deviation 1.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
        }

        fn repeats(&mut self, median: f64, noise: f64, count: usize) -> Vec<f64> {
            (0..count).map(|_| median * (noise * self.normal()).exp()).collect()
        }

        /// A made-up run in which joblab takes so many times what rayon takes.
        fn run(&mut self, times: f64, noise: f64, count: usize) -> Results {
            let ours = self.repeats(times, noise, count);
            let theirs = self.repeats(1.0, noise, count);
            results(&[(who::JOBLAB, &ours), (who::RAYON, &theirs)], None)
        }
    }

    #[test]
    fn two_runs_of_the_same_show_no_loss_however_noisy_they_are() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for noise in [0.01, 0.05, 0.2, 0.6] {
            for count in [2, 5, 11] {
                let is_lost = |_: &usize| {
                    let stored = random.run(2.0, noise, count);
                    !random.run(2.0, noise, count).losses(&stored).is_empty()
                };
                let lost = (0..4000).filter(is_lost).count();
                // Of what seems lost, more than one of a thousand does not seem so again.
                assert!(lost <= 8, "{lost} of 4000 at a noise of {noise}, {count} repeats");
            }
        }
    }

    #[test]
    fn what_takes_twice_as_long_is_found_where_the_noise_is_that_of_a_good_run() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for (noise, count) in [(0.02, 5), (0.05, 5), (0.05, 11)] {
            let is_found = |_: &usize| {
                let stored = random.run(2.0, noise, count);
                !random.run(4.0, noise, count).losses(&stored).is_empty()
            };
            let found = (0..1000).filter(is_found).count();
            assert!(found >= 950, "{found} of 1000 at a noise of {noise}, {count} repeats");
        }
    }

    #[test]
    fn few_repeats_and_wide_ones_leave_more_to_noise() {
        let measured = |repeats: &[f64]| Measured::new("a", repeats.to_vec()).unwrap();
        let quiet = measured(&[1.0, 1.01, 1.02, 1.03, 1.04]);
        let loud = measured(&[1.0, 1.1, 1.2, 1.3, 1.4]);
        let disturbed = measured(&[1.0, 1.01, 1.02, 1.03, 9.0]);
        let few = measured(&[1.0, 1.04]);
        assert!(factor(&[&quiet; 4]) < factor(&[&loud; 4]));
        assert!(factor(&[&quiet; 4]) < factor(&[&few; 4]));
        assert_eq!(factor(&[&quiet; 4]), factor(&[&disturbed; 4]));
        assert_eq!(factor(&[&measured(&[1.0, 1.0])]), 1.0);
        assert_eq!(factor(&[&measured(&[1.0])]), f64::INFINITY);
    }
}
