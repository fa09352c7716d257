//! The test of what is read and not run: texts and the pages that are made of the stored notebooks.

use std::path::Path;
use std::process::Command;

use crate::export;
use crate::problem::Result;
use crate::python::Environment;
use crate::workspace::{Workspace, script};

/// The commands that check the texts, write the pages, and look at them.
pub(crate) fn commands(workspace: &Workspace, browser: Option<&Path>) -> Result<[Command; 3]> {
    let environment = Environment::find_or_make(workspace)?;
    let folder = workspace.root().join("target/site");
    let mut texts = environment.script(&script!(workspace, "notebooks/sources.py"));
    texts.arg(workspace.root());
    let pages = export::pages(workspace, &environment, &folder);
    let tests = Environment::for_tests(workspace)?;
    let mut look = tests.script(&script!(workspace, "site/check.py"));
    if let Some(browser) = browser {
        look.arg("--browser").arg(browser).arg("--pictures").arg(folder.with_extension("pictures"));
    }
    look.arg(folder);
    Ok([texts, pages, look])
}
