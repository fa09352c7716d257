//! Wall time beside CPU time, as bars.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::VPos;

use super::{
    BLUE, DrawResult, FONT, Figure, GREEN, GRID, INK, ORANGE, PAPER, SIZE, centred, draw_key,
    ideal_mark, unit_of,
};
use crate::error::Error;
use crate::run::Measured;
use crate::timing::Timing;

/// Draws wall time beside CPU time for each run, with the ideal wall time marked: the CPU time
/// spread evenly over the workers, `total_cpu / n_jobs`.
///
/// CPU time that was used in worker processes gets a bar of its own.
///
/// # Errors
/// Where there is no run to draw.
///
/// ```
/// # use joblab::{Parallel, wall_vs_cpu};
/// let run = Parallel::new(2).map(joblab::wait_loop_nogil, [100; 4])?;
/// let figure = wall_vs_cpu([("lock released", &run)])?;
/// assert!(figure.svg().contains("lock released"));
/// # Ok::<(), joblab::Error>(())
/// ```
pub fn wall_vs_cpu<L: Into<String>, M: Measured>(
    runs: impl IntoIterator<Item = (L, M)>,
) -> Result<Figure, Error> {
    let groups: Vec<Group> = runs
        .into_iter()
        .map(|(label, run)| Group::new(label.into(), run.timing(), run.n_workers()))
        .collect();
    if groups.is_empty() {
        return Err(Error::figure("there is no run to draw; give at least one"));
    }
    let mut description = String::from("Wall time and CPU time.");
    for group in &groups {
        let [wall, cpu, workers] = group.seconds;
        let (label, ideal) = (&group.label, group.ideal);
        let _ = write!(
            description,
            " {label}: wall {wall:.3} s, CPU here {cpu:.3} s, CPU of the tasks {workers:.3} s, \
             ideal wall {ideal:.3} s."
        );
    }
    Figure::draw(description, |page| draw(page, &groups))
}

/// The bars of one run.
struct Group {
    label: String,
    /// Wall time, CPU time of this process, CPU time of the tasks.
    seconds: [f64; 3],
    ideal: f64,
    /// Whether the tasks ran in other processes, whose time is not in this process's.
    elsewhere: bool,
}

impl Group {
    fn new(label: String, timing: Timing, n_workers: usize) -> Self {
        Group {
            label,
            seconds: [timing.wall, timing.cpu, timing.worker_cpu].map(|time| time.as_secs_f64()),
            ideal: timing.total_cpu().as_secs_f64() / n_workers as f64,
            elsewhere: timing.worker_cpu > timing.cpu,
        }
    }
}

fn draw<B: DrawingBackend>(page: &DrawingArea<B, Shift>, groups: &[Group]) -> DrawResult<B> {
    let series: &[_] = if groups.iter().any(|group| group.elsewhere) {
        &[
            ("wall time", BLUE),
            ("CPU time here", ORANGE),
            ("CPU time in workers", GREEN),
        ]
    } else {
        &[("wall time", BLUE), ("CPU time", ORANGE)]
    };
    let n_series = series.len();
    let longest = groups
        .iter()
        .flat_map(|group| group.seconds[..n_series].iter().chain([&group.ideal]))
        .fold(f64::MIN_POSITIVE, |longest, &time| longest.max(time));
    let (unit, scale) = unit_of(longest);
    // Room above the highest bar for its number.
    let top = longest * scale * 1.12;
    let label_width = (SIZE.0 as usize - 90) / groups.len().max(2) / 8;
    let labels: Vec<_> = groups
        .iter()
        .map(|group| wrap(&group.label, label_width))
        .collect();
    let rows = labels.iter().map(Vec::len).max().unwrap_or(1) as u32;
    // A single run's bars keep the width that two runs' have.
    let margin = if groups.len() == 1 { 0.5 } else { 0.0 };

    let mut chart = ChartBuilder::on(page)
        .margin(12)
        .margin_top(44)
        .y_label_area_size(58)
        .x_label_area_size(10 + 18 * rows)
        .build_cartesian_2d(-margin..groups.len() as f64 + margin, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .light_line_style(PAPER)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 17).with_color(INK))
        .y_desc(format!("time ({unit})"))
        .axis_desc_style((FONT, 18).with_color(INK))
        .draw()?;

    // Bars of a group stand close together, groups apart.
    let bar_width = 0.8 / n_series as f64;
    for (place, group) in groups.iter().enumerate() {
        let left = place as f64 + 0.1;
        for (nth, (&time, (_, colour))) in group.seconds.iter().zip(series).enumerate() {
            let from = left + nth as f64 * bar_width;
            let to = from + bar_width;
            let height = time * scale;
            let gap = 0.04 * bar_width;
            let bar = [(from + gap, 0.0), (to - gap, height)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            let (x, y) = chart.backend_coord(&((from + to) / 2.0, height));
            let number = Text::new(number(height), (x, y - 3), centred(17, VPos::Bottom));
            page.draw(&number)?;
        }
        // Over the bar of the wall time, which it is to be compared with.
        let (from, y) = chart.backend_coord(&(left - 0.04, group.ideal * scale));
        let (to, _) = chart.backend_coord(&(left + 0.03 + bar_width, 0.0));
        page.draw(&PathElement::new(
            [(from, y), (to, y)],
            PAPER.stroke_width(5),
        ))?;
        page.draw(&ideal_mark((from, y), (to, y)))?;

        let (x, y) = chart.backend_coord(&(place as f64 + 0.5, 0.0));
        for (row, line) in labels[place].iter().enumerate() {
            let below = y + 8 + 18 * row as i32;
            page.draw(&Text::new(
                line.as_str(),
                (x, below),
                centred(18, VPos::Top),
            ))?;
        }
    }
    draw_key(page, series, Some("ideal wall: CPU / n_jobs"))
}

/// Three digits are as many as a bar can show.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Breaks a label between words into lines of about `width` characters.
fn wrap(label: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in label.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
