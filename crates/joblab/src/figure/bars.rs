//! Wall time beside CPU time, as bars.

use std::fmt::Write;

use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use super::chart::{Axis, Chart, Mark, key};
use super::drawing::Figure;
use super::look::{
    BLUE, DrawResult, GREEN, INK, MARGIN, ORANGE, PAPER, Page, TEXT, WIDTH, line, rectangle,
    width_of, write,
};
use crate::error::Error;
use crate::measure::Measured;
use crate::measure::units::{number, short, two_digits, unit_of};

const HEIGHT: i32 = 380;

/// Draws wall time beside CPU time for each run, with the ideal wall time marked: the CPU time
/// spread evenly over the workers, `total_cpu / n_jobs`.
///
/// CPU time that was used in worker processes gets a bar of its own. The wall time's bar is not divided
/// into what tasks waited for: they wait side by side, for longer together than the call takes. The
/// run's own table has those times, and its [`timeline`](crate::timeline()) shows them.
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
    let group = |(label, run): (L, M)| {
        let timing = run.timing();
        let times = [timing.wall, timing.cpu, timing.worker_cpu];
        Group {
            label: label.into(),
            seconds: times.map(|time| time.as_secs_f64()),
            ideal: timing.total_cpu().as_secs_f64() / run.n_workers() as f64,
        }
    };
    figure(&runs.into_iter().map(group).collect::<Vec<_>>())
}

fn figure(groups: &[Group]) -> Result<Figure, Error> {
    if groups.is_empty() {
        return Err(Error::figure("there is no run to draw; give at least one"));
    }
    let mut description = String::from("Wall time and CPU time.");
    for group in groups {
        let ([wall, cpu, workers], ideal) = (group.seconds, group.ideal);
        let label = &group.label;
        let _ = write!(
            description,
            " {label}: wall {wall:.3} s, CPU here {cpu:.3} s, CPU of the tasks {workers:.3} s, \
             ideal wall {ideal:.3} s."
        );
    }
    Figure::draw(description, HEIGHT, &|page| draw(page, groups))
}

/// The bars of one run.
struct Group {
    label: String,
    /// Wall time, CPU time of this process, CPU time of the tasks.
    seconds: [f64; 3],
    ideal: f64,
}

fn draw(page: &Page<'_>, groups: &[Group]) -> DrawResult {
    // Whether tasks ran in other processes, whose time is not in this process's.
    let elsewhere = groups.iter().any(|Group { seconds, .. }| seconds[2] > seconds[1]);
    let series: &[_] = if elsewhere {
        &[(BLUE, "wall time"), (ORANGE, "CPU time here"), (GREEN, "CPU time in workers")]
    } else {
        &[(BLUE, "wall time"), (ORANGE, "CPU time")]
    };
    let n_series = series.len() as i32;
    let ideal = (Mark::Line(INK), "ideal: CPU / n_jobs");
    let entries = series.iter().map(|&(colour, name)| (Mark::Block(colour), name));
    let top = key(page, MARGIN, entries.chain([ideal]))?;

    let times = groups.iter().flat_map(|group| group.seconds.into_iter().chain([group.ideal]));
    let longest = times.fold(1e-9, f64::max);
    let (unit, scale) = unit_of(longest);
    let (left, right) = (MARGIN + 44, WIDTH - MARGIN);
    let group_width = (right - left) / groups.len() as i32;
    let wrapped = |group: &Group| wrap(&group.label, group_width - 8);
    let labels: Vec<_> = groups.iter().map(wrapped).collect();
    let rows = labels.iter().map(Vec::len).max().unwrap_or(1) as i32;
    let y_title = format!("time ({unit})");
    // Room above the highest bar for its number.
    let y = Axis::new(&y_title, &short, (0.0, longest * scale * 1.08));
    let x = Axis::new("", &|_| String::new(), (0.0, 1.0));
    let bottom = HEIGHT - MARGIN - 20 * rows;
    let chart = Chart::new(x, (left, right), y, (bottom, top + 38));
    chart.draw(page)?;

    // Bars of a group stand close together, groups apart; a single run's are no wider than two's.
    let bar_width = group_width.min((right - left) / 2) * 4 / 5 / n_series;
    for ((nth, group), label) in (0..).zip(groups).zip(labels) {
        let middle = left + group_width * nth + group_width / 2;
        let start = middle - bar_width * n_series / 2;
        for ((nth, &time), &(colour, _)) in (0..).zip(&group.seconds).zip(series) {
            let (x, y) = (start + bar_width * nth, chart.y.at(time * scale));
            rectangle(page, [(x + 1, y), (x + bar_width - 1, bottom)], colour)?;
            // Three digits, or two where bars are narrow; where there is no room for them either, the
            // number is in the description.
            let texts = [number(time * scale), two_digits(time * scale)];
            if let Some(number) = texts.into_iter().find(|text| width_of(text) < bar_width) {
                let above = (x + bar_width / 2, y - 10);
                write(page, &number, above, (HPos::Center, TEXT, INK))?;
            }
        }
        // Over the bar of the wall time, which it is to be compared with.
        let y = chart.y.at(group.ideal * scale);
        let mark = [(start - 5, y), (start + bar_width + 4, y)];
        line(page, &mark, PAPER.stroke_width(6))?;
        line(page, &mark, INK.stroke_width(2))?;
        for (row, text) in (0..).zip(label) {
            let below = (middle, bottom + 16 + 20 * row);
            write(page, &text, below, (HPos::Center, TEXT, INK))?;
        }
    }
    Ok(())
}

/// Breaks a label between words into lines of about `width` pixels.
fn wrap(label: &str, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in label.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width_of(line) + width_of(word) < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
