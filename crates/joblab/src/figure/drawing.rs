//! [`Figure`]: a drawing as SVG.

use std::path::Path;

use plotters::prelude::*;

use super::look::{self, DrawResult, Page, WIDTH};
use crate::error::Error;

/// A drawing: ends a notebook cell, or goes to a file. It and what draws one need the feature `figures`,
/// which is on by default.
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

    pub(super) fn into_svg(self) -> String {
        self.svg
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
        std::fs::write(path, &self.svg).map_err(|reason| Error::figure_file(path, reason))
    }

    /// Draws on a page of that height, and labels it with the description.
    pub(super) fn draw(
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
