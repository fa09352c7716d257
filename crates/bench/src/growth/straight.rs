//! Whether a line is straight, by its numbers.

use super::{Curve, Line, Point};

/// A bend is where one of a size's tasks, workers, bytes or cells takes more than so many times what it takes
/// at the smaller size where it takes least.
const BEND: f64 = 1.5;

/// What one of a size takes, and all of it where the line should be level.
pub(super) fn each(curve: &Curve, line: &Line, point: &Point) -> f64 {
    if curve.is_level(&line.name) { point.seconds } else { point.seconds / point.size as f64 }
}

/// The sizes from which on one takes longer, with how many times as long.
pub(super) fn bends(curve: &Curve, line: &Line) -> Vec<(u64, f64)> {
    let mut least = f64::INFINITY;
    let mut bends = Vec::new();
    for point in &line.points {
        let each = each(curve, line, point);
        if each > BEND * least {
            bends.push((point.size, each / least));
        }
        least = least.min(each);
    }
    bends
}

/// The power of its size with which a line grows over its upper half, by least squares of the logarithms:
/// what each call costs, whatever its size, bends the lower half.
pub(super) fn exponent(line: &Line) -> Option<f64> {
    let upper = &line.points[line.points.len() / 2..];
    let logarithms = |point: &Point| ((point.size as f64).ln(), point.seconds.ln());
    let all: Vec<(f64, f64)> = upper.iter().map(logarithms).collect();
    let count = all.len() as f64;
    let (x, y) = all.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let (x, y) = (x / count, y / count);
    let (above, below) = all
        .iter()
        .fold((0.0, 0.0), |sum, it| (sum.0 + (it.0 - x) * (it.1 - y), sum.1 + (it.0 - x).powi(2)));
    (below > 0.0).then(|| above / below)
}

/// All of it in words.
pub(super) fn said(curve: &Curve, line: &Line) -> String {
    let Some(exponent) = exponent(line) else {
        return "too few sizes".to_owned();
    };
    let from = line.points[line.points.len() / 2].size;
    let grows = format!("from {} on it grows as size^{exponent:.2}", curve.size(from));
    let bends = bends(curve, line);
    if bends.is_empty() {
        let how = if curve.is_level(&line.name) { "level" } else { "straight" };
        return format!("{how}; {grows}");
    }
    let bend = |(size, times): &(u64, f64)| {
        let what = if curve.is_level(&line.name) { "all" } else { "each" };
        format!("at {} {what} takes {times:.1} times the least before", curve.size(*size))
    };
    let bends: Vec<_> = bends.iter().map(bend).collect();
    format!("**bends**: {}; {grows}", bends.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::curves;
    use super::*;

    fn line(seconds: impl Fn(f64) -> f64) -> Line {
        let point = |size: u64| Point { size, seconds: seconds(size as f64), bytes: None };
        let points = [1_000, 10_000, 100_000, 1_000_000].map(point).to_vec();
        Line { name: "threads".to_owned(), points, left_out: None }
    }

    #[test]
    fn what_each_call_costs_is_no_bend_and_what_each_more_task_costs_is_one() {
        let curve = &curves::all()[0];
        let straight = line(|n| 1e-3 + 1e-6 * n);
        assert_eq!(bends(curve, &straight), []);
        assert!((exponent(&line(|n| 1e-6 * n)).unwrap() - 1.0).abs() < 1e-9);
        assert!(said(curve, &straight).starts_with("straight; from 100,000 tasks on"));

        let square = line(|n| 1e-6 * n + 1e-12 * n * n);
        let bends: Vec<u64> = bends(curve, &square).into_iter().map(|(size, _)| size).collect();
        assert_eq!(bends, [1_000_000]);
        assert!(
            said(curve, &square).contains("**bends**: at 1,000,000 tasks each takes 2.0 times")
        );
        assert!((exponent(&line(|n| n * n)).unwrap() - 2.0).abs() < 1e-9);
    }
}
