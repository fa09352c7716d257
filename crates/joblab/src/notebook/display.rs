//! How values look when a notebook cell ends in them.
//!
//! evcxr calls a method named `evcxr_display` on a cell's last expression and takes blocks of
//! output from standard output: a line with the content type, the content, an end line.

use std::fmt::Debug;
use std::io::Write as _;

use super::line;
use super::stdout_turn::in_turn;
use crate::error::Error;
#[cfg(feature = "figures")]
use crate::figure::{Figure, run_card, timing_card};
#[cfg(not(feature = "figures"))]
use crate::measure::Row;
use crate::measure::{Run, Summary, Timing};
use crate::parallel::Parallel;
use crate::text::escape;

/// Writes all blocks of a value at once, so that no other thread's line gets between.
fn show(blocks: &[(&str, &str)]) {
    let mut text = String::new();
    for (content_type, content) in blocks {
        text += &format!("EVCXR_BEGIN_CONTENT {content_type}\n{content}\nEVCXR_END_CONTENT\n");
    }
    // Nobody is left to show anything to where standard output is closed.
    // std's lock comes first: a caller may hold that, and must not hold up what workers print.
    let mut stdout = std::io::stdout().lock();
    let _ = in_turn(|| stdout.write_all(text.as_bytes()));
}

#[cfg(feature = "figures")]
impl Figure {
    /// Shows the figure in the notebook cell that ends in it.
    ///
    /// It is an SVG image of its own content type, which JupyterLab, nbconvert and GitHub's
    /// notebook view draw; a terminal shows the description.
    pub fn evcxr_display(&self) {
        show(&[("image/svg+xml", self.svg()), ("text/plain", self.description())]);
    }
}

impl Timing {
    /// Shows the times and the utilisation in the notebook cell that ends in them.
    pub fn evcxr_display(&self) {
        show_card(timing_card(&self.rows()).as_deref(), &self.to_string());
    }
}

impl<R: Debug> Run<R> {
    /// Shows the run in the notebook cell that ends in it: a table of its numbers, the first of its
    /// results, and the [`timeline`](crate::timeline()); without the feature `figures` as text.
    pub fn evcxr_display(&self) {
        show_run(&self.summary(), self.results.len(), &|place| &self.results[place]);
    }
}

fn show_run<'r>(run: &Summary<'_>, n_results: usize, result: &dyn Fn(usize) -> &'r dyn Debug) {
    let results = line::of_list(n_results, result);
    let text = format!("{}\nresults  {results}", run.text());
    show_card(run_card(run, &results).as_deref(), &text);
}

/// Shows a value's card, and where there is none its text.
fn show_card(card: Option<&str>, text: &str) {
    let text = ("text/plain", text);
    match card {
        Some(svg) => show(&[("image/svg+xml", svg), text]),
        None => show(&[text]),
    }
}

#[cfg(not(feature = "figures"))]
fn run_card(_: &Summary<'_>, _: &str) -> Option<String> {
    None
}

#[cfg(not(feature = "figures"))]
fn timing_card(_: &[Row]) -> Option<String> {
    None
}

impl Parallel {
    /// Shows the pool's options in the notebook cell that ends in it.
    pub fn evcxr_display(&self) {
        show(&[("text/plain", &format!("{self:?}"))]);
    }
}

impl Error {
    /// Shows the message in the notebook cell that ends in it.
    pub fn evcxr_display(&self) {
        let text = self.to_string();
        let html = format!(
            "<div style=\"border-left: 4px solid #d55e00; padding: 0.4em 1em\">\
             <strong>Error:</strong> {}</div>",
            escape(&text)
        );
        show(&[("text/html", &html), ("text/plain", &text)]);
    }
}
