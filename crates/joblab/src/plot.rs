//! Figures over measured times. Drawing knows nothing of measuring: figures take data, and are drawn
//! by plotters as SVG. Public functions only collect what they are given: what is generic is compiled
//! again in each notebook cell that calls it.

mod bars;
mod card;
mod chart;
mod lines;
mod look;
mod timeline;

use std::path::Path;

use plotters::prelude::*;

pub use self::bars::wall_vs_cpu;
pub(crate) use self::card::{run_card, timing_card};
pub use self::lines::{cost_against_length, cost_against_size, speedup};
pub(crate) use self::look::escape;
use self::look::{DrawResult, Page, WIDTH};
pub use self::timeline::timeline;
use crate::error::Error;

/// A drawing: ends a notebook cell, or goes to a file.
#[derive(Clone, Debug)]
pub struct Figure {
    svg: String,
    description: String,
}

impl Figure {
    /// The image as SVG text, its description included as alternative text.
    ///
    /// Figures are light cards, and dark ones where the page around them says that its colour
    /// scheme is dark.
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

    /// Draws on a page of that height, and labels it with the description.
    fn draw(
        description: String,
        height: i32,
        draw: &dyn Fn(&Page<'_>) -> DrawResult,
    ) -> Result<Figure, Error> {
        let mut svg = String::new();
        let size = (WIDTH as u32, height as u32);
        let page = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = draw(&page).and_then(|()| page.present());
        drop(page);
        drawn.map_err(Error::figure)?;
        let svg = look::finish(&svg, &description);
        Ok(Figure { svg, description })
    }
}
