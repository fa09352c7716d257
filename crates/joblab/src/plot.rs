//! Figures over measured times. Drawing knows nothing of measuring: figures take data, and draw on
//! any plotters backend.

use std::fmt::Write;
use std::path::Path;
use std::vec::IntoIter;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::Error;
use crate::run::Measured;
use crate::timing::Timing;

/// Width and height in pixels: two figures fit a laptop's screen, one a projector's.
const SIZE: (u32, u32) = (680, 380);
const FONT: &str = "sans-serif";
/// Figures bring their own paper, so that they are as readable in a dark notebook as in a light one.
const PAPER: RGBColor = WHITE;
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);
// Three colours of Okabe and Ito's palette, which people with any colour vision can tell apart
// (Wong, Nature Methods 8, 441, 2011). They differ in lightness too, for a printed page.
const WALL: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const CPU: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const WORKERS: RGBColor = RGBColor(0x00, 0x9e, 0x73);

/// A drawing: ends a notebook cell, or goes to a file.
#[derive(Clone, Debug)]
pub struct Figure {
    svg: String,
    description: String,
}

impl Figure {
    /// The image as SVG text, its description included as alternative text.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// What the figure shows, in words and numbers.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Writes the image to an SVG file.
    ///
    /// # Errors
    /// Where the file cannot be written, with the system's reason.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, &self.svg)
            .map_err(|reason| Error::figure(format_args!("{}: {reason}", path.display())))
    }

    /// Draws on an SVG page and labels it with the description.
    fn draw(
        description: String,
        draw: impl for<'a> FnOnce(&DrawingArea<SVGBackend<'a>, Shift>) -> DrawResult<SVGBackend<'a>>,
    ) -> Result<Figure, Error> {
        let mut svg = String::new();
        {
            let page = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            page.fill(&PAPER)
                .and_then(|()| draw(&page))
                .and_then(|()| page.present())
                .map_err(Error::figure)?;
        }
        let label = escape(&description);
        let svg = svg.replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{label}\" "),
            1,
        );
        Ok(Figure { svg, description })
    }
}

type DrawResult<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

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
        let [wall, cpu, workers] = group.seconds.map(seconds);
        let ideal = seconds(group.ideal);
        let _ = write!(
            description,
            " {}: wall {wall}, CPU here {cpu}, CPU of the tasks {workers}, ideal wall {ideal}.",
            group.label
        );
    }
    Figure::draw(description, |page| draw_wall_vs_cpu(page, &groups))
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

fn draw_wall_vs_cpu<B: DrawingBackend>(
    page: &DrawingArea<B, Shift>,
    groups: &[Group],
) -> DrawResult<B> {
    let series = [
        ("wall time", WALL),
        ("CPU time of this process", CPU),
        ("CPU time of the workers", WORKERS),
    ];
    let n_series = if groups.iter().any(|group| group.elsewhere) {
        3
    } else {
        2
    };
    let series = &series[..n_series];
    let longest = groups
        .iter()
        .flat_map(|group| group.seconds[..n_series].iter().chain([&group.ideal]))
        .fold(f64::MIN_POSITIVE, |longest, &time| longest.max(time));
    let (unit, scale) = unit_of(longest);
    // Room above the highest bar for its number.
    let top = longest * scale * 1.12;

    // A single run's bars keep the width that two runs' have.
    let margin = if groups.len() == 1 { 0.5 } else { 0.0 };
    let mut chart = ChartBuilder::on(page)
        .margin(12)
        .margin_top(44)
        .y_label_area_size(58)
        .x_label_area_size(46)
        .build_cartesian_2d(-margin..groups.len() as f64 + margin, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .light_line_style(PAPER)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 17).with_color(INK).into_text_style(page))
        .y_desc(format!("time ({unit})"))
        .axis_desc_style((FONT, 18).with_color(INK).into_text_style(page))
        .draw()?;

    let text = |size: u32, vertical| {
        (FONT, size)
            .with_color(INK)
            .with_anchor::<RGBColor>(Pos::new(HPos::Center, vertical))
            .into_text_style(page)
    };
    // Bars of a group stand close together, groups apart.
    let bar_width = 0.8 / n_series as f64;
    for (place, group) in groups.iter().enumerate() {
        let left = place as f64 + 0.1;
        for (nth, (&time, (_, colour))) in group.seconds.iter().zip(series).enumerate() {
            let (from, to) = (
                left + nth as f64 * bar_width,
                left + (nth + 1) as f64 * bar_width,
            );
            let height = time * scale;
            let gap = 0.04 * bar_width;
            let bar = [(from + gap, 0.0), (to - gap, height)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            let (x, y) = chart.backend_coord(&((from + to) / 2.0, height));
            page.draw(&Text::new(
                number(height),
                (x, y - 3),
                text(17, VPos::Bottom),
            ))?;
        }
        let ideal = group.ideal * scale;
        // Over the bar of the wall time, which it is to be compared with.
        let (from, y) = chart.backend_coord(&(left - 0.04, ideal));
        let (to, _) = chart.backend_coord(&(left + 0.04 + bar_width, ideal));
        page.draw(&PathElement::new(
            [(from, y), (to, y)],
            PAPER.stroke_width(5),
        ))?;
        page.draw(&ideal_mark((from, y), (to, y)))?;

        let (x, y) = chart.backend_coord(&(place as f64 + 0.5, 0.0));
        let width = (SIZE.0 as usize - 90) / groups.len().max(2);
        for (row, line) in wrap(&group.label, width / 8).iter().enumerate() {
            let below = y + 8 + 18 * row as i32;
            page.draw(&Text::new(line.as_str(), (x, below), text(18, VPos::Top)))?;
        }
    }
    draw_legend(page, series)
}

/// The key above the chart, one row.
fn draw_legend<B: DrawingBackend>(
    page: &DrawingArea<B, Shift>,
    series: &[(&str, RGBColor)],
) -> DrawResult<B> {
    let style = (FONT, 17)
        .with_color(INK)
        .with_anchor::<RGBColor>(Pos::new(HPos::Left, VPos::Center))
        .into_text_style(page);
    let y = 22;
    let mut x = 24;
    for (name, colour) in series {
        page.draw(&Rectangle::new(
            [(x, y - 6), (x + 12, y + 6)],
            colour.filled(),
        ))?;
        page.draw(&Text::new(*name, (x + 18, y), style.clone()))?;
        x += 44 + 7 * name.len() as i32;
    }
    page.draw(&ideal_mark((x, y), (x + 24, y)))?;
    page.draw(&Text::new(
        "ideal wall time: CPU / n_jobs",
        (x + 30, y),
        style,
    ))
}

/// A dashed line between two points of the page.
fn ideal_mark(
    from: (i32, i32),
    to: (i32, i32),
) -> plotters::element::DashedPathElement<IntoIter<(i32, i32)>, i32> {
    plotters::element::DashedPathElement::new(vec![from, to], 6, 3, INK.stroke_width(2))
}

/// The unit in which a time reads best, and how many of it a second has.
fn unit_of(longest_seconds: f64) -> (&'static str, f64) {
    match longest_seconds {
        time if time >= 120.0 => ("min", 1.0 / 60.0),
        time if time >= 0.5 => ("s", 1.0),
        time if time >= 0.5e-3 => ("ms", 1e3),
        _ => ("µs", 1e6),
    }
}

/// Three digits are as many as a bar can show.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn seconds(time: f64) -> String {
    format!("{time:.3} s")
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
