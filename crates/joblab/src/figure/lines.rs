//! How a time or a ratio changes, as lines: against the number of workers, the size of an argument,
//! the length of a task.

use std::time::Duration;

use plotters::prelude::*;

use super::chart::{Axis, Chart, Mark, key};
use super::drawing::Figure;
use super::look::{
    BLUE, DrawResult, GREEN, GREY, INK, MARGIN, ORANGE, Page, VERMILION, WIDTH, line,
};
use crate::error::Error;
use crate::measure::Measured;
use crate::measure::units::{bytes, number, short, time};
use crate::os::cpu_count;

const HEIGHT: i32 = 380;
/// Where the lines' charts end, above the labels and the title of their x axis.
const BOTTOM: i32 = HEIGHT - 62;
const COLOURS: [RGBColor; 4] = [BLUE, ORANGE, GREEN, VERMILION];

/// A labelled line.
struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn new<T>(
        (label, points): (impl Into<String>, impl IntoIterator<Item = T>),
        point: impl Fn(T) -> (f64, f64),
    ) -> Self {
        Line { label: label.into(), points: points.into_iter().map(point).collect() }
    }
}

/// Draws speedup and efficiency against the number of workers, with the ideal dashed, and
/// Amdahl's law as a thin line of each line's colour.
///
/// Speedup is `T(baseline) / T(n)`, efficiency is speedup / n, where n is each run's number of
/// workers and T its wall time. Ideal is a speedup of n: an efficiency of 1. Amdahl's law,
/// `T(n) / T(baseline) = s + (1 - s) / n`, takes the serial fraction s that fits best (least
/// squares) to the runs with no more workers than there are CPUs: more cannot be faster, however
/// little is serial.
///
/// # Errors
/// Where there is no run to draw, or more than four lines of them.
pub fn speedup<L: Into<String>, R: IntoIterator<Item: Measured>>(
    baseline: impl Measured,
    lines: impl IntoIterator<Item = (L, R)>,
) -> Result<Figure, Error> {
    let baseline = baseline.timing();
    let point = |run: R::Item| (run.n_workers() as f64, run.timing().speedup(&baseline));
    draw_speedup(&lines.into_iter().map(|line| Line::new(line, point)).collect::<Vec<_>>())
}

fn draw_speedup(lines: &[Line]) -> Result<Figure, Error> {
    check(lines)?;
    let most = most_of(lines, |point| point.0).max(1.0);
    let fit = |line: &Line| serial_fraction(&line.points, cpu_count() as f64);
    let serial: Option<Vec<f64>> = lines.iter().map(fit).collect();
    let law = serial.as_ref().map(|serial| {
        let percent = |s| format!("{:.0} %", 100.0 * s);
        let percents: Vec<_> = serial.iter().map(percent).collect();
        format!("Amdahl's law, {} serial", percents.join(", "))
    });
    let title = "Speedup against the number of workers.";
    let mut description = describe(title, lines, &short, &number);
    description.extend(law.iter().map(|law| format!(" {law}.")));

    Figure::draw(description, HEIGHT, &|page| {
        let law = law.as_deref().map(|law| (Mark::Line(GREY), law));
        let entries = names(lines).chain([(Mark::Line(INK), "ideal")]).chain(law);
        let top = key(page, MARGIN, entries)? + 38;
        let half = WIDTH / 2;
        for (left, title, of) in [
            (0, "speedup", (|_, speedup| speedup) as fn(f64, f64) -> f64),
            (half, "efficiency", |n, speedup| speedup / n),
        ] {
            let highest = most_of(lines, |point| of(point.0, point.1)).max(of(most, most));
            let whole = |n: f64| Some(short(n)).filter(|_| n.fract() == 0.0);
            let whole = |n| whole(n).unwrap_or_default();
            let x = Axis::new("workers", &whole, (0.8, most + 0.2));
            let y = Axis::new(title, &short, (0.0, highest * 1.05));
            let width = (left + MARGIN + 34, left + half - MARGIN);
            let chart = Chart::new(x, width, y, (BOTTOM, top));
            chart.draw(page)?;
            let at = |(n, speedup)| chart.at((n, of(n, speedup)));
            line(page, &[(1.0, 1.0), (most, most)].map(at), INK.stroke_width(2))?;
            for (s, colour) in serial.iter().flatten().zip(COLOURS) {
                let steps = (0..=40).map(|step| 1.0 + (most - 1.0) * f64::from(step) / 40.0);
                let law = steps.map(|n| at((n, 1.0 / (s + (1.0 - s) / n))));
                let thin = colour.mix(0.5).stroke_width(2);
                line(page, &law.collect::<Vec<_>>(), thin)?;
            }
            draw_lines(page, lines, at)?;
        }
        Ok(())
    })
}

/// The least-squares fit of Amdahl's law to speedups at numbers of workers, up to `most` of them.
fn serial_fraction(points: &[(f64, f64)], most: f64) -> Option<f64> {
    let (mut xy, mut xx) = (0.0, 0.0);
    for &(n, speedup) in points {
        if n > 1.0 && n <= most && speedup > 0.0 {
            // 1 / S - 1 / n = s (1 - 1 / n): a line through the origin.
            let (x, y) = (1.0 - 1.0 / n, 1.0 / speedup - 1.0 / n);
            (xy, xx) = (xy + x * y, xx + x * x);
        }
    }
    (xx > 0.0).then(|| (xy / xx).clamp(0.0, 1.0))
}

/// Draws time against the size of what a task carries, in bytes, on logarithmic scales.
///
/// # Errors
/// Where there is nothing to draw, a size or a time is 0, or there are more than four lines.
pub fn cost_against_size<L: Into<String>>(
    lines: impl IntoIterator<Item = (L, Vec<(usize, Duration)>)>,
) -> Result<Figure, Error> {
    let point = |(size, time): (usize, Duration)| (size as f64, time.as_secs_f64());
    let lines: Vec<_> = lines.into_iter().map(|line| Line::new(line, point)).collect();
    draw_cost("size of the argument", &bytes, &lines)
}

/// Draws time per task against the length of a task, on logarithmic scales.
///
/// # Errors
/// Where there is nothing to draw, a time is 0, or there are more than four lines.
pub fn cost_against_length<L: Into<String>>(
    lines: impl IntoIterator<Item = (L, Vec<(Duration, Duration)>)>,
) -> Result<Figure, Error> {
    let point = |(x, y): (Duration, Duration)| (x.as_secs_f64(), y.as_secs_f64());
    let lines: Vec<_> = lines.into_iter().map(|line| Line::new(line, point)).collect();
    draw_cost("length of a task", &time, &lines)
}

fn draw_cost(
    x_title: &str,
    x_label: &dyn Fn(f64) -> String,
    lines: &[Line],
) -> Result<Figure, Error> {
    check(lines)?;
    // Room on each side of a line, and a whole range where there is one point only.
    let range = |value: fn(&(f64, f64)) -> f64| {
        let least = 1.0 / most_of(lines, |point| 1.0 / value(point));
        (least / 1.5, most_of(lines, value) * 1.5)
    };
    let (x, y) = (range(|point| point.0), range(|point| point.1));
    if x.0 <= 0.0 || y.0 <= 0.0 {
        return Err(Error::figure("a logarithmic scale has no zero; leave that point out"));
    }
    let title = format!("Time against {x_title}.");
    let description = describe(&title, lines, x_label, &time);
    Figure::draw(description, HEIGHT, &|page| {
        let top = key(page, MARGIN, names(lines))? + 38;
        let x = Axis::new(x_title, x_label, x).log();
        let y = Axis::new("wall time", &time, y).log();
        let chart = Chart::new(x, (MARGIN + 58, WIDTH - MARGIN), y, (BOTTOM, top));
        chart.draw(page)?;
        draw_lines(page, lines, |point| chart.at(point))
    })
}

/// There must be something to draw, and a colour for each line.
fn check(lines: &[Line]) -> Result<(), Error> {
    match lines.len() {
        _ if lines.iter().all(|line| line.points.is_empty()) => {
            Err(Error::figure("there is nothing to draw; give at least one line with a point"))
        }
        many if many > COLOURS.len() => Err(Error::figure(format_args!(
            "{many} lines are too many to tell apart; give at most {}",
            COLOURS.len()
        ))),
        _ => Ok(()),
    }
}

fn most_of(lines: &[Line], value: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let values = lines.iter().flat_map(|line| &line.points).map(value);
    values.fold(0.0, f64::max)
}

fn names(lines: &[Line]) -> impl Iterator<Item = (Mark, &str)> {
    let labels = lines.iter().map(|line| line.label.as_str());
    COLOURS.map(Mark::Block).into_iter().zip(labels)
}

fn describe(
    title: &str,
    lines: &[Line],
    x: &dyn Fn(f64) -> String,
    y: &dyn Fn(f64) -> String,
) -> String {
    let lines = lines.iter().map(|line| {
        let point = |point: &(f64, f64)| format!("{} at {}", y(point.1), x(point.0));
        let points: Vec<_> = line.points.iter().map(point).collect();
        format!(" {}: {}.", line.label, points.join(", "))
    });
    title.to_owned() + &lines.collect::<String>()
}

fn draw_lines(
    page: &Page<'_>,
    lines: &[Line],
    at: impl Fn((f64, f64)) -> (i32, i32),
) -> DrawResult {
    for (Line { points, .. }, colour) in lines.iter().zip(COLOURS) {
        let points: Vec<_> = points.iter().copied().map(&at).collect();
        line(page, &points, colour.stroke_width(3))?;
        for point in points {
            page.draw(&Circle::new(point, 5, colour.filled()))?;
        }
    }
    Ok(())
}
