//! The browser test: the notebooks in the real JupyterLab, looked at in Chromium.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::problem::{Problem, Result};
use crate::program::Places;
use crate::python::Environment;
use crate::workspace::{Workspace, script};

/// Names of browsers that the test can drive, and where macOS has them.
const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// Finds a browser.
pub(crate) fn find() -> Option<PathBuf> {
    find_in(&Places::here())
}

fn find_in(places: &Places) -> Option<PathBuf> {
    BROWSERS.iter().find_map(|name| places.find(name.as_ref()))
}

/// The command that opens every notebook and runs it.
pub(crate) fn command(workspace: &Workspace, browser: &Path) -> Result<Command> {
    let environment = Environment::for_tests(workspace)?;
    let lab = env::current_exe()
        .map_err(|error| Problem::new(format!("cannot tell which program this is: {error}")))?;
    let mut command = environment.script(&script!(workspace, "browser/check.py"));
    command
        .arg("--lab")
        .arg(lab)
        .arg("--browser")
        .arg(browser)
        .arg("--workspace")
        .arg(workspace.root())
        .arg("--pictures")
        .arg(workspace.root().join("target").join("screenshots"))
        .args(workspace.notebooks());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::tests::System;

    #[test]
    fn chrome_is_found_where_macos_has_it() {
        let system = System::new("browsers");
        let places = system.places(&["usr/bin"]);
        assert_eq!(find_in(&places), None);
        for path in [
            "Applications/Chromium.app/Contents/MacOS/Chromium",
            "Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
            // One that was put on PATH is the one that is meant.
            "usr/bin/google-chrome",
            "usr/bin/chromium",
        ] {
            let browser = system.add(path, "");
            assert_eq!(find_in(&places), Some(browser));
        }
    }
}
