//! How a time or a ratio changes, as lines: against the number of workers, the size of an argument,
//! the length of a task.

use std::fmt::Write;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::{
    BLUE, DrawResult, FONT, Figure, GREEN, GRID, INK, ORANGE, PAPER, VERMILION, draw_key, unit_of,
};
use crate::error::Error;
use crate::run::Measured;

const COLOURS: [RGBColor; 4] = [BLUE, ORANGE, GREEN, VERMILION];

/// A labelled line.
struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

/// Draws speedup and efficiency against the number of workers, with the ideal dashed.
///
/// Speedup is `T(baseline) / T(n)`, efficiency is speedup / n, where n is each run's number of
/// workers and T its wall time. Ideal is a speedup of n: an efficiency of 1.
///
/// # Errors
/// Where there is no run to draw, or more than four lines of them.
pub fn speedup<L: Into<String>, R: IntoIterator<Item: Measured>>(
    baseline: impl Measured,
    lines: impl IntoIterator<Item = (L, R)>,
) -> Result<Figure, Error> {
    let baseline = baseline.timing();
    let speedups = checked(lines.into_iter().map(|(label, runs)| {
        Line {
            label: label.into(),
            points: runs
                .into_iter()
                .map(|run| (run.n_workers() as f64, run.timing().speedup(&baseline)))
                .collect(),
        }
    }))?;
    let efficiencies: Vec<Line> = speedups
        .iter()
        .map(|line| Line {
            label: line.label.clone(),
            points: line
                .points
                .iter()
                .map(|&(n, speedup)| (n, speedup / n))
                .collect(),
        })
        .collect();
    let mut description = String::from("Speedup against the number of workers.");
    describe(
        &mut description,
        &speedups,
        |n| format!("{n}"),
        |ratio| format!("{ratio:.2}"),
    );
    let most = speedups
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.0)
        .fold(1.0, f64::max);
    Figure::draw(description, |page| {
        let (left, right) = page.split_horizontally(page.dim_in_pixel().0 / 2);
        for (half, title, lines, ideal, top) in [
            (
                &left,
                "speedup",
                &speedups,
                [(1.0, 1.0), (most, most)],
                most,
            ),
            (
                &right,
                "efficiency",
                &efficiencies,
                [(1.0, 1.0), (most, 1.0)],
                1.0,
            ),
        ] {
            let y = 0.0..highest(lines).max(top) * 1.05;
            let axes = Axes {
                x_title: "workers",
                y_title: title,
                x_label: &|n| {
                    if n.fract() == 0.0 {
                        format!("{n}")
                    } else {
                        String::new()
                    }
                },
                y_label: &|ratio| format!("{ratio:.1}"),
                x_labels: most as usize,
            };
            draw_lines(half, 0.8..most + 0.2, y, &axes, lines, Some(ideal))?;
        }
        draw_key(page, &names(&speedups), Some("ideal"))
    })
}

/// Draws time against the size of what a task carries, in bytes, on logarithmic scales.
///
/// # Errors
/// Where there is nothing to draw, a size or a time is 0, or there are more than four lines.
pub fn cost_against_size<L: Into<String>>(
    lines: impl IntoIterator<Item = (L, Vec<(usize, Duration)>)>,
) -> Result<Figure, Error> {
    cost(
        "size of the argument",
        &bytes,
        lines.into_iter().map(|(label, points)| {
            let points = points
                .into_iter()
                .map(|(size, time)| (size as f64, time.as_secs_f64()));
            Line {
                label: label.into(),
                points: points.collect(),
            }
        }),
    )
}

/// Draws time per task against the length of a task, on logarithmic scales.
///
/// # Errors
/// Where there is nothing to draw, a time is 0, or there are more than four lines.
pub fn cost_against_length<L: Into<String>>(
    lines: impl IntoIterator<Item = (L, Vec<(Duration, Duration)>)>,
) -> Result<Figure, Error> {
    cost(
        "length of a task",
        &time,
        lines.into_iter().map(|(label, points)| {
            let points = points
                .into_iter()
                .map(|(x, y)| (x.as_secs_f64(), y.as_secs_f64()));
            Line {
                label: label.into(),
                points: points.collect(),
            }
        }),
    )
}

fn cost(
    x_title: &str,
    x_label: &dyn Fn(f64) -> String,
    lines: impl Iterator<Item = Line>,
) -> Result<Figure, Error> {
    let lines = checked(lines)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().any(|&(x, y)| x <= 0.0 || y <= 0.0) {
        return Err(Error::figure(
            "a logarithmic scale has no zero; leave that point out",
        ));
    }
    let mut description = format!("Time against {x_title}.");
    describe(&mut description, &lines, x_label, time);
    // A factor of room on each side of a decade's line.
    let range = |value: fn(&(f64, f64)) -> f64| {
        let (least, most) = points()
            .map(value)
            .fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
                (least.min(value), most.max(value))
            });
        (least / 1.5..most * 1.5).log_scale()
    };
    let (x, y) = (range(|point| point.0), range(|point| point.1));
    let axes = Axes {
        x_title,
        y_title: "wall time",
        x_label,
        y_label: &time,
        x_labels: 8,
    };
    Figure::draw(description, |page| {
        draw_lines(page, x, y, &axes, &lines, None)?;
        draw_key(page, &names(&lines), None)
    })
}

/// There must be something to draw, and a colour for each line.
fn checked(lines: impl Iterator<Item = Line>) -> Result<Vec<Line>, Error> {
    let lines: Vec<Line> = lines.filter(|line| !line.points.is_empty()).collect();
    match lines.len() {
        0 => Err(Error::figure(
            "there is nothing to draw; give at least one line with a point",
        )),
        many if many > COLOURS.len() => Err(Error::figure(format_args!(
            "{many} lines are too many to tell apart; give at most {}",
            COLOURS.len()
        ))),
        _ => Ok(lines),
    }
}

fn highest(lines: &[Line]) -> f64 {
    let values = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.1);
    values.fold(0.0, f64::max)
}

fn names(lines: &[Line]) -> Vec<(&str, RGBColor)> {
    let labels = lines.iter().map(|line| line.label.as_str());
    labels.zip(COLOURS).collect()
}

fn describe(
    description: &mut String,
    lines: &[Line],
    x: impl Fn(f64) -> String,
    y: impl Fn(f64) -> String,
) {
    for line in lines {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|&(at, value)| format!("{} at {}", y(value), x(at)))
            .collect();
        let _ = write!(description, " {}: {}.", line.label, points.join(", "));
    }
}

struct Axes<'a> {
    x_title: &'a str,
    y_title: &'a str,
    x_label: &'a dyn Fn(f64) -> String,
    y_label: &'a dyn Fn(f64) -> String,
    x_labels: usize,
}

fn draw_lines<B, X, Y>(
    page: &DrawingArea<B, Shift>,
    x: X,
    y: Y,
    axes: &Axes<'_>,
    lines: &[Line],
    ideal: Option<[(f64, f64); 2]>,
) -> DrawResult<B>
where
    B: DrawingBackend,
    X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
{
    let mut chart = ChartBuilder::on(page)
        .margin(12)
        .margin_top(44)
        .y_label_area_size(70)
        .x_label_area_size(52)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(PAPER)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 17).with_color(INK))
        .axis_desc_style((FONT, 18).with_color(INK))
        .x_labels(axes.x_labels)
        .y_labels(7)
        .x_label_formatter(&|&value| (axes.x_label)(value))
        .y_label_formatter(&|&value| (axes.y_label)(value))
        .x_desc(axes.x_title)
        .y_desc(axes.y_title)
        .draw()?;
    if let Some([from, to]) = ideal {
        let [from, to] = [from, to].map(|point| chart.backend_coord(&point));
        page.draw(&super::ideal_mark(from, to))?;
    }
    for (line, colour) in lines.iter().zip(COLOURS) {
        let path = PathElement::new(line.points.clone(), colour.stroke_width(3));
        chart.draw_series([path])?;
        let dots = line
            .points
            .iter()
            .map(|&point| Circle::new(point, 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    Ok(())
}

/// A time in the unit in which it reads best.
fn time(seconds: f64) -> String {
    // `unit_of` changes at half a unit, a label at a whole one.
    let (unit, scale) = unit_of(seconds / 1.99);
    let value = seconds * scale;
    let decimals = usize::from(value < 9.95 && (value - value.round()).abs() >= 0.05);
    format!("{value:.decimals$} {unit}")
}

/// A number of bytes with a decimal prefix.
fn bytes(size: f64) -> String {
    match size {
        size if size >= 1e9 => format!("{:.0} GB", size / 1e9),
        size if size >= 1e6 => format!("{:.0} MB", size / 1e6),
        size if size >= 1e3 => format!("{:.0} kB", size / 1e3),
        size => format!("{size:.0} B"),
    }
}
