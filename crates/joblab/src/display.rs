//! How values look when a notebook cell ends in them.
//!
//! evcxr calls a method named `evcxr_display` on a cell's last expression and takes blocks of
//! output from standard output: a line with the content type, the content, an end line.

use std::fmt::Debug;
use std::io::Write;

use crate::error::Error;
use crate::parallel::Parallel;
use crate::plot::Figure;
use crate::run::Run;
use crate::timing::Timing;

/// Writes all blocks of a value at once, so that no other thread's line gets between.
fn show(blocks: &[(&str, &str)]) {
    let mut text = String::new();
    for (content_type, content) in blocks {
        text += &format!("EVCXR_BEGIN_CONTENT {content_type}\n{content}\nEVCXR_END_CONTENT\n");
    }
    // Nobody is left to show anything to where standard output is closed.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

impl Figure {
    /// Shows the figure in the notebook cell that ends in it.
    ///
    /// It is an SVG image of its own content type, which JupyterLab, nbconvert and GitHub's
    /// notebook view draw; a terminal shows the description.
    pub fn evcxr_display(&self) {
        show(&[
            ("image/svg+xml", self.svg()),
            ("text/plain", self.description()),
        ]);
    }
}

impl Timing {
    /// Shows the two times in the notebook cell that ends in them.
    pub fn evcxr_display(&self) {
        show(&[("text/plain", &self.to_string())]);
    }
}

impl<R: Debug> Run<R> {
    /// Shows the results and the two times in the notebook cell that ends in them.
    pub fn evcxr_display(&self) {
        let text = format!("{:?}\n{}", self.results, self.timing);
        show(&[("text/plain", &text)]);
    }
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
        show(&[("text/plain", &self.to_string())]);
    }
}
