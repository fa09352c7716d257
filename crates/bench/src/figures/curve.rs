//! A curve as a picture: time on the left, memory on the right, all scales logarithmic.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::palette::{BLUE, GREEN, GREY, GRID, INK, ORANGE, PAPER, VERMILION};
use super::{Drawn, Page, text};
use crate::case::Unit;
use crate::growth::{Curve, Line, Point};
use crate::report;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 420;
const TOP: i32 = 96;
const BOTTOM: i32 = HEIGHT - 56;
const COLOURS: [RGBColor; 4] = [BLUE, ORANGE, GREEN, VERMILION];

pub(crate) fn draw(curve: &Curve, lines: &[Line]) -> Result<String> {
    let mut svg = String::new();
    let page = SVGBackend::with_string(&mut svg, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
    draw_on(&page, curve, lines)?;
    drop(page);
    Ok(svg)
}

fn draw_on(page: &Page<'_>, curve: &Curve, lines: &[Line]) -> Drawn {
    page.fill(&PAPER)?;
    text(page, curve.title, (20, 20), HPos::Left)?;
    let mut left = 20;
    for (line, colour) in lines.iter().zip(COLOURS) {
        page.draw(&Circle::new((left + 6, 46), 5, colour.filled()))?;
        text(page, &line.name, (left + 18, 46), HPos::Left)?;
        left += 44 + 8 * line.name.len() as i32;
    }
    let sizes = lines.iter().flat_map(|line| line.points.iter().map(|point| point.size as f64));
    let Some(x) = Scale::over(sizes) else {
        return page.present();
    };
    let seconds: fn(&Point) -> Option<f64> = |point| Some(point.seconds);
    let bytes: fn(&Point) -> Option<f64> = |point| point.bytes.filter(|bytes| *bytes > 0.0);
    for (left, title, value, unit) in
        [(70, "time", seconds, Unit::Seconds), (570, "memory", bytes, Unit::Bytes)]
    {
        let right = left + 400;
        text(page, title, (left, TOP - 22), HPos::Left)?;
        text(page, curve.many, ((left + right) / 2, HEIGHT - 16), HPos::Center)?;
        let all = lines.iter().flat_map(|line| line.points.iter().filter_map(value));
        let Some(y) = Scale::over(all) else {
            continue;
        };
        let at = |size: f64, value: f64| (x.place(size, left, right), y.place(value, BOTTOM, TOP));
        for size in x.powers() {
            let (at, _) = at(size, 1.0);
            page.draw(&PathElement::new([(at, TOP), (at, BOTTOM)], GRID.stroke_width(1)))?;
            text(page, &short(curve, size), (at, BOTTOM + 16), HPos::Center)?;
        }
        for value in y.powers() {
            let (_, at) = at(1.0, value);
            page.draw(&PathElement::new([(left, at), (right, at)], GRID.stroke_width(1)))?;
            text(page, &whole(value, unit), (left - 6, at), HPos::Right)?;
        }
        // The slope of what is straight, through the lower corner.
        let steps = (x.last - x.first).min(y.last - y.first);
        let (from, to) = ((x.first, y.first), (x.first + steps, y.first + steps));
        let ends = [from, to].map(|(x, y)| at(10_f64.powf(x), 10_f64.powf(y)));
        page.draw(&PathElement::new(ends, GREY.mix(0.5).stroke_width(1)))?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let points = line.points.iter();
            let places: Vec<_> =
                points.filter_map(|point| Some(at(point.size as f64, value(point)?))).collect();
            page.draw(&PathElement::new(places.clone(), colour.stroke_width(2)))?;
            for place in places {
                page.draw(&Circle::new(place, 4, colour.filled()))?;
            }
        }
        let frame = [(left, TOP), (left, BOTTOM), (right, BOTTOM)];
        page.draw(&PathElement::new(frame, INK.stroke_width(1)))?;
    }
    page.present()
}

/// A logarithmic scale between two powers of ten.
struct Scale {
    first: f64,
    last: f64,
}

impl Scale {
    /// The scale for some values, if there are any.
    fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let ends = values.fold(None, |ends: Option<(f64, f64)>, it| match ends {
            None => Some((it, it)),
            Some((least, most)) => Some((least.min(it), most.max(it))),
        });
        let (least, most) = ends?;
        let first = least.log10().floor();
        Some(Scale { first, last: most.log10().ceil().max(first + 1.0) })
    }

    fn place(&self, value: f64, from: i32, to: i32) -> i32 {
        let share = (value.log10() - self.first) / (self.last - self.first);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        (self.first as i32..=self.last as i32).map(|power| 10_f64.powi(power))
    }
}

/// A power of ten on the axis of sizes.
fn short(curve: &Curve, size: f64) -> String {
    let (name, scale) = match size {
        1e9.. => ("G", 1e9),
        1e6.. => ("M", 1e6),
        1e3.. => ("k", 1e3),
        _ => ("", 1.0),
    };
    format!("{:.0} {name}{}", size / scale, if curve.is_of_bytes { "B" } else { "" })
}

/// A power of ten in its unit, without decimals.
fn whole(value: f64, unit: Unit) -> String {
    match (unit, value) {
        (Unit::Bytes, ..0.9e3) => format!("{value:.0} B"),
        (Unit::Bytes, ..0.9e6) => format!("{:.0} kB", value / 1e3),
        (Unit::Bytes, ..0.9e9) => format!("{:.0} MB", value / 1e6),
        (Unit::Bytes, _) => format!("{:.0} GB", value / 1e9),
        // A power of ten may be a little less than it says.
        (Unit::Seconds, _) => {
            let text = report::quantity(value * 1.000_001, unit);
            let (number, name) = text.split_once(' ').unwrap_or((&text, ""));
            format!("{} {name}", number.split('.').next().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::curves;

    #[test]
    fn each_point_has_its_mark_in_both_charts() {
        let curve = &curves::all()[0];
        let point = |size, bytes| Point { size, seconds: size as f64 * 1e-6, bytes };
        let points = vec![point(1000, Some(1e6)), point(10_000, Some(1e7)), point(100_000, None)];
        let line = Line { name: "threads".to_owned(), points, left_out: None };
        let svg = draw(curve, &[line]).unwrap();
        let marks = svg.lines().filter(|line| line.contains("r=\"4\""));
        let places: Vec<(i32, i32)> = marks
            .map(|line| {
                let number = |name: &str| {
                    let rest = line.split(name).nth(1).unwrap();
                    rest.split('"').next().unwrap().parse().unwrap()
                };
                (number("cx=\""), number("cy=\""))
            })
            .collect();
        assert_eq!(places.len(), 3 + 2, "{svg}");
        // Ten times as many, and each time as far to the right and up.
        let step = |a: (i32, i32), b: (i32, i32)| (b.0 - a.0, a.1 - b.1);
        assert_eq!(step(places[0], places[1]), step(places[1], places[2]));
        assert!(step(places[0], places[1]).0 > 0 && step(places[0], places[1]).1 > 0);
    }

    #[test]
    fn powers_of_ten_read_well() {
        let times = [1e-9, 1e-5, 0.001, 1.0, 10.0].map(|it| whole(it, Unit::Seconds));
        assert_eq!(times, ["1 ns", "10 µs", "1 ms", "1 s", "10 s"]);
        let bytes = [100.0, 1e3, 1e8, 1e9].map(|it| whole(it, Unit::Bytes));
        assert_eq!(bytes, ["100 B", "1 kB", "100 MB", "1 GB"]);
    }
}
