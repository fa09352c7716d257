//! Which versions of crates a kernel would build now, and whether the registry can be asked.

use std::fs;
use std::process::Stdio;

use crate::problem::Result;
use crate::program;
use crate::say;
use crate::workspace::{self, Workspace};

/// What cargo found for the crates of the notebooks.
pub(super) struct Versions {
    /// Its Cargo.lock; empty if it found none.
    pub(super) lock: String,
    /// The registry does not answer, and what is on this machine is enough.
    pub(super) is_offline: bool,
}

/// Asks cargo, as a kernel does with the notebooks' first `:dep`: whatever stands between us and the
/// registry, a mirror or a proxy, is cargo's to know.
pub(super) fn find(workspace: &Workspace, dependencies: &[String]) -> Result<Versions> {
    // Beside the notebooks' folder, so that relative paths mean the same.
    let manifest = workspace.own("Cargo.toml");
    let text = manifest_of(dependencies);
    // Another call may be reading it.
    if fs::read_to_string(&manifest).ok().as_ref() != Some(&text) {
        workspace::write(&manifest, &text)?;
    }
    let resolve = |options: &[&str]| {
        let mut cargo = program::cargo();
        cargo.args(["generate-lockfile", "--manifest-path"]).arg(&manifest).args(options);
        // Where the network is one that swallows everything, cargo would wait for minutes.
        cargo.env("CARGO_HTTP_TIMEOUT", "5").env("CARGO_NET_RETRY", "0");
        let output = cargo.stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    let is_offline = match resolve(&[]) {
        Ok(()) => false,
        Err(_) if resolve(&["--offline"]).is_ok() => true,
        Err(why) => {
            say::warning(&format!("cargo finds no versions of the notebooks' crates:\n{why}"));
            return Ok(Versions { lock: String::new(), is_offline: false });
        }
    };
    let lock = fs::read_to_string(workspace.own("Cargo.lock")).unwrap_or_default();
    Ok(Versions { lock, is_offline })
}

/// A package with these dependencies, as a cell is one.
fn manifest_of(dependencies: &[String]) -> String {
    format!(
        "[package]\nname = \"notebooks\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"none.rs\"\n\n[workspace]\n\n[dependencies]\n{}\n",
        dependencies.join("\n")
    )
}

/// The `:dep` lines of the notebooks, each once, as Cargo.toml has them.
pub(super) fn dependencies(workspace: &Workspace) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in workspace.notebooks() {
        let text = fs::read_to_string(path).unwrap_or_default();
        for line in text.lines().filter_map(dependency) {
            let name = |line: &str| line.split('=').next().map(|name| name.trim().to_owned());
            if found.iter().all(|other| name(other) != name(&line)) {
                found.push(line);
            }
        }
    }
    found
}

/// Reads a line of a notebook's file: a string that is a line of a cell.
fn dependency(line: &str) -> Option<String> {
    let line = line.trim().strip_prefix("\":dep ")?;
    let end = line.rfind('"')?;
    let line = line[..end].trim_end_matches("\\n").replace("\\\"", "\"");
    line.contains('=').then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_read_from_a_line_of_a_notebook() {
        let line = r#"    ":dep a = { path = \"../b\" }\n","#;
        assert_eq!(dependency(line).as_deref(), Some(r#"a = { path = "../b" }"#));
        assert_eq!(dependency(r#"":dep a = \"1\"""#).as_deref(), Some(r#"a = "1""#));
        for other in [r#"    "use a;\n","#, r#"    "A cell's `:dep a = 1`""#, r#"":dep a\n","#] {
            assert_eq!(dependency(other), None, "{other}");
        }
    }
}
