//! The figures beside the stored results.

pub(crate) mod curve;
#[allow(dead_code, reason = "joblab's own figures use all of them")]
#[path = "../../joblab/src/figure/palette.rs"]
mod palette;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use joblab::{Figure, Measured, Timing, cost_against_size, speedup};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use self::palette::{BLUE, GREY, GRID, INK, ORANGE, PAPER, VERMILION};
use crate::results::{Results, Row};
use crate::who;

/// Draws what the results have the rows for.
pub(crate) fn save(results: &Results, folder: &Path) -> Result<()> {
    crate::results::write(&folder.join("ratios.svg"), &ratios(results)?)?;
    speedups(results)?.save(folder.join("speedup.svg"))?;
    Ok(arguments(results)?.save(folder.join("arguments.svg"))?)
}

/// A run of which only its time and its number of workers are known.
struct Point {
    seconds: f64,
    n_workers: usize,
}

impl Measured for Point {
    fn timing(&self) -> Timing {
        let wall = Duration::from_secs_f64(self.seconds);
        Timing::new(wall, Duration::ZERO, Duration::ZERO)
    }

    fn n_workers(&self) -> usize {
        self.n_workers
    }
}

/// Speedup against joblab's own run on one thread.
fn speedups(results: &Results) -> Result<Figure> {
    let line = |label: &str, workers: &str, who: &str| {
        let prefix = format!("speedup-{workers}-");
        let point = |row: &Row| {
            let n_workers = row.case.strip_prefix(&prefix)?.parse().ok()?;
            Some(Point { seconds: row.of(who)?.median, n_workers })
        };
        (label.to_owned(), results.rows.iter().filter_map(point).collect::<Vec<_>>())
    };
    let lines = [
        line("joblab, threads", "threads", who::JOBLAB),
        line("joblab, processes", "processes", who::JOBLAB),
        line("joblib, threads", "threads", who::JOBLIB_THREADING),
        line("joblib, loky", "processes", who::JOBLIB_LOKY),
    ];
    let baseline = lines[0].1.iter().find(|point| point.n_workers == 1);
    let baseline = baseline.ok_or_else(|| anyhow!("there is no run on one worker"))?.timing();
    Ok(speedup(baseline, lines)?)
}

fn arguments(results: &Results) -> Result<Figure> {
    let line = |label: &str, kind: &str, who: &str| {
        let sizes = [("1kB", 1_000), ("1MB", 1_000_000), ("100MB", 100_000_000)];
        let point = |(name, bytes): (&str, usize)| {
            let measured = results.row(&format!("{kind}-{name}"))?.of(who)?;
            Some((bytes, Duration::from_secs_f64(measured.median)))
        };
        (label.to_owned(), sizes.into_iter().filter_map(point).collect())
    };
    Ok(cost_against_size([
        line("joblab, copied", "copied", who::JOBLAB),
        line("joblab, shared", "shared", who::JOBLAB),
        line("joblib loky, copied", "copied", who::JOBLIB_LOKY),
        line("joblib loky, shared", "shared", who::JOBLIB_LOKY),
    ])?)
}

const WIDTH: i32 = 1000;
/// Where the titles end and the scale begins.
const LEFT: i32 = 470;
const RIGHT: i32 = WIDTH - 20;
const ROW: i32 = 22;
const TOP: i32 = 64;

/// For each case a line of marks: how many times joblab's time each participant takes, on a
/// logarithmic scale.
fn ratios(results: &Results) -> Result<String> {
    let rows: Vec<_> = results.rows.iter().filter(|row| row.ours().is_some()).collect();
    let height = TOP + ROW * rows.len() as i32 + 20;
    let mut svg = String::new();
    let page = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
    draw(&page, &rows, height)?;
    drop(page);
    Ok(svg)
}

type Page<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(page: &Page<'_>, rows: &[&Row], height: i32) -> Drawn {
    let times = |row: &Row, value: f64| value / row.ours().map_or(value, |ours| ours.median);
    let all = rows.iter().flat_map(|row| row.measured.iter().map(|it| times(row, it.median)));
    let (least, most) = all.fold((0.5_f64, 2.0_f64), |(a, b), it| (a.min(it), b.max(it)));
    let (first, last) = (least.log10().floor(), most.log10().ceil());
    let x = |times: f64| {
        let place = (times.log10() - first) / (last - first);
        LEFT + (place * f64::from(RIGHT - LEFT - 20)) as i32 + 10
    };
    page.fill(&PAPER)?;
    let entries = [
        (BLUE, "joblab"),
        (ORANGE, "best peer"),
        (GREY, "other peers"),
        (VERMILION, "best peer, where joblab loses"),
    ];
    let mut left = 20;
    for (colour, name) in entries {
        page.draw(&Circle::new((left + 6, 18), 5, colour.filled()))?;
        text(page, name, (left + 18, 18), HPos::Left)?;
        left += 44 + 8 * name.len() as i32;
    }
    page.draw(&PathElement::new([(left + 6, 11), (left + 6, 25)], INK.stroke_width(2)))?;
    text(page, "what it is measured against", (left + 16, 18), HPos::Left)?;

    text(page, "times as long as joblab, or as large", (LEFT - 20, 46), HPos::Right)?;
    for power in first as i32..=last as i32 {
        let at = x(10_f64.powi(power));
        let line = if power == 0 { BLUE } else { GRID };
        page.draw(&PathElement::new([(at, TOP - 4), (at, height - 16)], line.stroke_width(1)))?;
        text(page, &format!("{}", 10_f64.powi(power)), (at, 46), HPos::Center)?;
    }
    for (nth, row) in (0..).zip(rows) {
        let y = TOP + ROW * nth + ROW / 2;
        text(page, &row.title, (LEFT - 8, y), HPos::Right)?;
        for peer in row.peers().into_iter().skip(1) {
            page.draw(&Circle::new((x(times(row, peer.median)), y), 4, GREY.filled()))?;
        }
        if let Some((_, ratio)) = row.best_peer() {
            let colour = if row.loses() { VERMILION } else { ORANGE };
            page.draw(&Circle::new((x(ratio), y), 5, colour.filled()))?;
        }
        page.draw(&Circle::new((x(1.0), y), 5, BLUE.filled()))?;
        if let Some(reference) = row.of(&row.reference) {
            let at = x(times(row, reference.median));
            page.draw(&PathElement::new([(at, y - 8), (at, y + 8)], INK.stroke_width(2)))?;
        }
    }
    page.present()
}

fn text(page: &Page<'_>, text: &str, at: (i32, i32), side: HPos) -> Drawn {
    let style = ("system-ui, Helvetica, Arial, sans-serif", 14).into_font().color(&INK);
    page.draw_text(text, &style.pos(Pos::new(side, VPos::Center)), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn a_peer_that_is_twice_as_fast_stands_left_of_joblab_and_in_the_colour_of_a_loss() {
        let all: &[(&str, &[f64])] = &[(who::JOBLAB, &[2.0]), (who::RAYON, &[1.0])];
        let svg = ratios(&results(all, None)).unwrap();
        let place = |colour: &str| -> i32 {
            let mut circles =
                svg.lines().filter(|it| it.contains("<circle") && it.contains(colour));
            let line = circles.next_back().unwrap();
            line.split("cx=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!(place("#D55E00") < place("#0072B2"), "{svg}");
    }
}
