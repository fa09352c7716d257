//! The Python packages that environment.yml lists.

use std::path::Path;

use crate::problem::{Problem, Result};

/// A part of environment.yml: it starts with a comment and goes on to the next part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What notebooks need, which comes from pip as well as from conda.
    Notebooks,
    /// What only `cargo lab test` needs. The entries are comments, so that conda passes them over.
    Tests,
    /// What only `cargo lab bench` needs; comments too.
    Bench,
}

impl Part {
    const ALL: [Self; 3] = [Self::Notebooks, Self::Tests, Self::Bench];

    fn heading(self) -> &'static str {
        match self {
            Self::Notebooks => "# Python packages",
            Self::Tests => "# Test packages",
            Self::Bench => "# Bench packages",
        }
    }

    fn bullet(self) -> &'static str {
        match self {
            Self::Notebooks => "- ",
            Self::Tests | Self::Bench => "# - ",
        }
    }

    fn begins_at(line: &str) -> Option<Self> {
        let mut parts = Self::ALL.into_iter();
        parts.find(|part| line.starts_with(part.heading()))
    }
}

/// Reads the Python packages of one part of environment.yml, each with its version range.
pub(crate) fn read(environment_yml: &Path, part: Part) -> Result<Vec<String>> {
    let name = environment_yml.display();
    let text = std::fs::read_to_string(environment_yml)
        .map_err(|error| Problem::new(format!("cannot read {name}: {error}")))?;
    let packages = parse(&text, part);
    if packages.is_empty() {
        return Err(Problem::new(format!(
            "{name} lists no packages after a line that starts with `{}`",
            part.heading()
        )));
    }
    Ok(packages)
}

fn parse(text: &str, part: Part) -> Vec<String> {
    let mut current = None;
    let mut packages = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(begun) = Part::begins_at(line) {
            current = Some(begun);
        } else if current == Some(part)
            && let Some(entry) = line.strip_prefix(part.bullet())
        {
            let requirement = entry.split('#').next().unwrap_or_default();
            packages.push(requirement.trim().to_owned());
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_real_file_are_told_apart() {
        let text = include_str!("../../../environment.yml");
        let has = |part, name| parse(text, part).iter().any(|it| it.starts_with(name));
        for name in ["jupyterlab", "nbclient", "nbconvert", "joblib"] {
            assert!(has(Part::Notebooks, name) && !has(Part::Tests, name), "{name}");
        }
        assert!(has(Part::Tests, "playwright") && !has(Part::Notebooks, "playwright"));
        assert!(has(Part::Bench, "mpire") && !has(Part::Tests, "mpire"));
        for name in ["python", "rust", "evcxr", "c-compiler"] {
            assert!(!has(Part::Notebooks, name) && !has(Part::Tests, name), "{name}");
        }
    }

    #[test]
    fn comments_and_spaces_are_not_part_of_an_entry() {
        let text = "dependencies:\n  - rust=1.88\n  # Python packages, also from pip\n  - a>=1,<2  # why\n\n  \
                    -  b\n  # Test packages\n  # - c>=3  # why\n  # a remark\n";
        assert_eq!(parse(text, Part::Notebooks), ["a>=1,<2", "b"]);
        assert_eq!(parse(text, Part::Tests), ["c>=3"]);
    }
}
