//! What charts share: axes, the grid with its labels, the key.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::look::{
    DrawResult, GREY, GRID, INK, MARGIN, Page, TEXT, WIDTH, line, rectangle, width_of, write,
};

/// Where values lie on the page, along its width or, from the bottom up, its height.
pub(super) struct Axis<'a> {
    title: &'a str,
    /// How a value is written; one that is written as nothing has no line in the grid.
    label: &'a dyn Fn(f64) -> String,
    values: (f64, f64),
    pixels: (i32, i32),
    log: bool,
}

impl<'a> Axis<'a> {
    pub(super) fn new(
        title: &'a str,
        label: &'a dyn Fn(f64) -> String,
        values: (f64, f64),
    ) -> Self {
        Axis { title, label, values, pixels: (0, 0), log: false }
    }

    pub(super) fn log(self) -> Self {
        Axis { log: true, ..self }
    }

    pub(super) fn at(&self, value: f64) -> i32 {
        let place = |value: f64| if self.log { value.log10() } else { value };
        let (from, to) = (place(self.values.0), place(self.values.1));
        let length = f64::from(self.pixels.1 - self.pixels.0);
        self.pixels.0 + ((place(value) - from) / (to - from) * length).round() as i32
    }

    /// Round values, not too close, with their places and labels: 1, 2 or 5 times a power of ten,
    /// or on a long logarithmic axis the powers alone.
    fn ticks(&self) -> Vec<(i32, String)> {
        let (from, to) = self.values;
        let ticks: Vec<f64> = if self.log {
            let most = if to / from > 100.0 { 1 } else { 3 };
            let places = &[1.0, 2.0, 5.0][..most];
            let powers = from.log10().floor() as i32..=to.log10() as i32 + 1;
            let of_power = |power| places.iter().map(move |place| place * 10_f64.powi(power));
            powers.flat_map(of_power).collect()
        } else {
            // Labels are wider than high.
            let length = self.pixels.1 - self.pixels.0;
            let apart = if length > 0 { 60.0 } else { 40.0 };
            let least = (to - from) * apart / f64::from(length.abs());
            let power = 10_f64.powf(least.log10().floor());
            let steps = [1.0, 2.0, 5.0, 10.0].map(|place| place * power);
            let step = steps.into_iter().find(|&step| step >= least);
            let step = step.unwrap_or(least);
            let nth = 0..=(to / step) as u32;
            nth.map(|nth| f64::from(nth) * step).collect()
        };
        let within = ticks.into_iter().filter(|tick| (from..=to).contains(tick));
        let labelled = within.map(|tick| (self.at(tick), (self.label)(tick)));
        labelled.filter(|(_, label)| !label.is_empty()).collect()
    }
}

pub(super) struct Chart<'a> {
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
}

impl<'a> Chart<'a> {
    /// Between the pixels from left to right, and from the bottom to the top.
    pub(super) fn new(x: Axis<'a>, xs: (i32, i32), y: Axis<'a>, ys: (i32, i32)) -> Self {
        Chart { x: Axis { pixels: xs, ..x }, y: Axis { pixels: ys, ..y } }
    }

    pub(super) fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (self.x.at(x), self.y.at(y))
    }

    /// Draws the grid, a label for each of its lines, and the titles: y's above, x's below.
    pub(super) fn draw(&self, page: &Page<'_>) -> DrawResult {
        let ((left, right), (bottom, top)) = (self.x.pixels, self.y.pixels);
        for (x, label) in self.x.ticks() {
            line(page, &[(x, top), (x, bottom + 5)], GRID.into())?;
            write(page, &label, (x, bottom + 16), (HPos::Center, TEXT, INK))?;
        }
        for (y, label) in self.y.ticks() {
            line(page, &[(left, y), (right, y)], GRID.into())?;
            write(page, &label, (left - 8, y), (HPos::Right, TEXT, INK))?;
        }
        line(page, &[(left, bottom), (right, bottom)], GREY.into())?;
        let below = ((left + right) / 2, bottom + 38);
        write(page, self.x.title, below, (HPos::Center, TEXT, GREY))?;
        let above = (left, top - 16);
        write(page, self.y.title, above, (HPos::Left, TEXT, GREY))
    }
}

/// What stands before a name in the key.
pub(super) enum Mark {
    Block(RGBColor),
    Line(RGBColor),
}

/// Draws the key, in as many rows as it takes, and gives back where it ends.
pub(super) fn key<'a>(
    page: &Page<'_>,
    top: i32,
    entries: impl IntoIterator<Item = (Mark, &'a str)>,
) -> DrawResult<i32> {
    let (mut x, mut y) = (MARGIN, top + 8);
    for (mark, name) in entries {
        let width = width_of(name) + 24;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + 24);
        }
        match mark {
            Mark::Block(colour) => rectangle(page, [(x, y - 7), (x + 14, y + 7)], colour)?,
            Mark::Line(colour) => line(page, &[(x - 5, y), (x + 16, y)], colour.stroke_width(2))?,
        }
        write(page, name, (x + 22, y), (HPos::Left, TEXT, INK))?;
        x += width + 20;
    }
    Ok(y + 12)
}
