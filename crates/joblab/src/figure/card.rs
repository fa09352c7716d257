//! What a run and a timing show of themselves: a table, and a run's timeline below it.

use plotters::style::text_anchor::HPos;

use super::drawing::Figure;
use super::look::{DrawResult, GREY, INK, MARGIN, Page, TEXT, WIDTH, write};
use super::timeline::Timeline;
use crate::measure::{Row, Summary};

const COLUMNS: usize = 4;
const ROW: i32 = 58;

/// A run's table, the first of its results, and its timeline, as SVG; nothing where it cannot be drawn.
pub(crate) fn run_card(run: &Summary<'_>, results: &str) -> Option<String> {
    let (rows, timeline) = (run.rows(), Timeline::new(run));
    let description = format!("{} {}", sentence(&rows), timeline.description());
    let top = height_of(&rows) + 64;
    let drawn = Figure::draw(description, top + timeline.height(), &|page| {
        table(page, &rows)?;
        let note = if run.waits() {
            "no speedup is estimated: the tasks mostly waited, as with one worker they would"
        } else {
            "estimated: CPU time of the tasks / wall time, as if one worker never waited"
        };
        write(page, note, (MARGIN, top - 62), (HPos::Left, TEXT, GREY))?;
        write(page, "results", (MARGIN, top - 34), (HPos::Left, TEXT, GREY))?;
        let after = (MARGIN + 66, top - 34);
        write(page, results, after, (HPos::Left, TEXT, INK))?;
        timeline.draw(page, top)
    });
    drawn.ok().map(Figure::into_svg)
}

/// A timing's table, likewise.
pub(crate) fn timing_card(rows: &[Row]) -> Option<String> {
    let drawn = Figure::draw(sentence(rows), height_of(rows) + 6, &|page| table(page, rows));
    drawn.ok().map(Figure::into_svg)
}

/// A table as a sentence, for those who hear it.
fn sentence(rows: &[Row]) -> String {
    let parts = rows.iter().map(|(name, number)| format!("{name} {number}"));
    parts.collect::<Vec<_>>().join(", ") + "."
}

fn height_of(rows: &[Row]) -> i32 {
    MARGIN + rows.len().div_ceil(COLUMNS) as i32 * ROW
}

/// Names above their numbers.
fn table(page: &Page<'_>, rows: &[Row]) -> DrawResult {
    let column = (WIDTH - 2 * MARGIN) / COLUMNS as i32;
    for (nth, (name, number)) in rows.iter().enumerate() {
        let x = MARGIN + (nth % COLUMNS) as i32 * column;
        let y = MARGIN + 8 + (nth / COLUMNS) as i32 * ROW;
        write(page, name, (x, y), (HPos::Left, TEXT, GREY))?;
        write(page, number, (x, y + 24), (HPos::Left, 22, INK))?;
    }
    Ok(())
}
