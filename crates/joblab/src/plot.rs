//! Figures over measured times. Drawing knows nothing of measuring: figures take data, and draw on
//! any plotters backend.

mod bars;
mod lines;

use std::path::Path;
use std::vec::IntoIter;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use self::bars::wall_vs_cpu;
pub use self::lines::{cost_against_length, cost_against_size, speedup};
use crate::error::Error;

/// Width and height in pixels: two figures fit a laptop's screen, one a projector's.
const SIZE: (u32, u32) = (680, 380);
const FONT: &str = "sans-serif";
/// Figures bring their own paper, so that they are as readable in a dark notebook as in a light one.
const PAPER: RGBColor = WHITE;
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);
// Colours of Okabe and Ito's palette, which people with any colour vision can tell apart (Wong,
// Nature Methods 8, 441, 2011). They differ in lightness too, for a printed page.
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

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

/// Text of a size in pixels, centred, above or below its point.
fn centred<'a>(size: u32, vertical: VPos) -> TextStyle<'a> {
    TextStyle::from((FONT, size).into_font())
        .color(&INK)
        .pos(Pos::new(HPos::Center, vertical))
}

/// A dashed line between two points of the page: what would be ideal.
fn ideal_mark(from: (i32, i32), to: (i32, i32)) -> DashedPathElement<IntoIter<(i32, i32)>, i32> {
    DashedPathElement::new(vec![from, to], 6, 3, INK.stroke_width(2))
}

/// The key above a chart, one row: names with their colours, and what the dashed line means.
fn draw_key<B: DrawingBackend>(
    page: &DrawingArea<B, Shift>,
    names: &[(&str, RGBColor)],
    ideal: Option<&str>,
) -> DrawResult<B> {
    let style = TextStyle::from((FONT, 17).into_font())
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let y = 22;
    let mut x = 24;
    for (name, colour) in names {
        page.draw(&Rectangle::new(
            [(x, y - 6), (x + 12, y + 6)],
            colour.filled(),
        ))?;
        page.draw(&Text::new(*name, (x + 18, y), style.clone()))?;
        x += 40 + 7 * name.chars().count() as i32;
    }
    if let Some(name) = ideal {
        page.draw(&ideal_mark((x, y), (x + 24, y)))?;
        page.draw(&Text::new(name, (x + 30, y), style))?;
    }
    Ok(())
}

/// The unit in which a time reads best, and how many of it a second has.
fn unit_of(seconds: f64) -> (&'static str, f64) {
    match seconds {
        time if time >= 120.0 => ("min", 1.0 / 60.0),
        time if time >= 0.5 => ("s", 1.0),
        time if time >= 0.5e-3 => ("ms", 1e3),
        _ => ("µs", 1e6),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
