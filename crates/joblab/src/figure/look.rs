//! The one look of all figures: sizes, text, colours, light and dark.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) use super::palette::{
    BLOCKED, BLUE, GREEN, GREY, GRID, IDLE, INK, ORANGE, PAPER, VERMILION,
};
use crate::text::{escape, visible};

pub(super) type Page<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type DrawResult<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// In pixels, the margin included.
pub(super) const WIDTH: i32 = 740;
pub(super) const MARGIN: i32 = 20;
/// The height of text, but for a table's numbers.
pub(super) const TEXT: i32 = 15;
const FONT: &str = "system-ui, Helvetica, Arial, sans-serif";

/// What takes a colour's place on a dark page. Orange, vermilion and green suit both: a lighter vermilion
/// looks like orange, and a lighter green like blue, to people who lack a kind of cone.
const DARK: [[RGBColor; 2]; 7] = [
    [PAPER, RGBColor(0x1f, 0x22, 0x26)],
    [INK, RGBColor(0xec, 0xec, 0xec)],
    [GREY, RGBColor(0xb0, 0xb4, 0xb8)],
    [GRID, RGBColor(0x3c, 0x40, 0x46)],
    [IDLE, RGBColor(0x2b, 0x2f, 0x34)],
    [BLOCKED, RGBColor(0x5d, 0x6b, 0x78)],
    [BLUE, RGBColor(0x4d, 0xac, 0xe4)],
];

/// Writes text with its left end, its middle or its right end at a point, centred in height.
pub(super) fn write(
    page: &Page<'_>,
    text: &str,
    at: (i32, i32),
    (side, size, colour): (HPos, i32, RGBColor),
) -> DrawResult {
    // plotters' sizes are 1.24 times those of SVG.
    let style = TextStyle::from((FONT, f64::from(size) * 1.24).into_font())
        .color(&colour)
        .pos(Pos::new(side, VPos::Center));
    page.draw(&Text::new(visible(text), at, style))
}

/// About how wide text is.
pub(super) fn width_of(text: &str) -> i32 {
    text.chars().count() as i32 * TEXT * 4 / 7
}

pub(super) fn rectangle(page: &Page<'_>, at: [(i32, i32); 2], colour: RGBColor) -> DrawResult {
    page.draw(&Rectangle::new(at, colour.filled()))
}

/// A line; one in ink comes out dashed, and stands for what would be ideal.
pub(super) fn line(page: &Page<'_>, points: &[(i32, i32)], style: ShapeStyle) -> DrawResult {
    page.draw(&PathElement::new(points, style))
}

/// Puts a drawing on its card, with alternative text, and with colours for a dark page.
///
/// Notebooks show it in an `<img>`, which the page's styles do not reach, but its colour scheme
/// does. GitHub strips style sheets: what it shows is the light card.
pub(super) fn finish(drawing: &str, description: &str) -> String {
    let ink = format!("stroke=\"{}\"", hex(INK));
    let drawing = drawing
        .replace(&format!(" font-family=\"{FONT}\""), "")
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(&ink, &format!("{ink} stroke-dasharray=\"8 5\""));
    let mut rules = String::new();
    for pair in DARK {
        let [light, dark] = pair.map(hex);
        for property in ["fill", "stroke"] {
            let _ = write!(rules, "[{property}=\"{light}\"]{{{property}:{dark}}}");
        }
    }
    let (label, paper) = (escape(description), hex(PAPER));
    let (head, marks) = drawing.split_once(">\n").unwrap_or_default();
    format!(
        "{head} role=\"img\" aria-label=\"{label}\" font-family=\"{FONT}\">\n\
         <style>@media(prefers-color-scheme:dark){{{rules}}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{paper}\"/>\n{marks}"
    )
}

fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}
