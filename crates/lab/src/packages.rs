//! The Python packages that environment.yml lists.

use std::path::Path;

use crate::problem::{Problem, Result};

/// The comment in environment.yml after which everything comes from pip as well as from conda.
const PYTHON_PART: &str = "# Python packages";

/// Reads the Python packages from environment.yml, each with its version range.
pub(crate) fn read(environment_yml: &Path) -> Result<Vec<String>> {
    let name = environment_yml.display();
    let text = std::fs::read_to_string(environment_yml)
        .map_err(|error| Problem::new(format!("cannot read {name}: {error}")))?;
    let packages = parse(&text);
    if packages.is_empty() {
        return Err(Problem::new(format!(
            "{name} lists no packages after a line that starts with `{PYTHON_PART}`"
        )));
    }
    Ok(packages)
}

fn parse(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with(PYTHON_PART))
        .filter_map(|line| line.strip_prefix("- "))
        .map(|entry| {
            entry
                .split('#')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_part_of_the_real_file_is_read() {
        let packages = parse(include_str!("../../../environment.yml"));
        for name in ["jupyterlab", "nbclient", "nbconvert"] {
            assert!(
                packages.iter().any(|package| package.starts_with(name)),
                "{packages:?}"
            );
        }
        for name in ["python", "rust", "evcxr", "c-compiler"] {
            assert!(
                !packages.iter().any(|package| package.starts_with(name)),
                "{packages:?}"
            );
        }
    }

    #[test]
    fn comments_and_spaces_are_not_part_of_an_entry() {
        let text = "dependencies:\n  - rust=1.95\n  # Python packages, also from pip\n  - a>=1,<2  # why\n\n  -  b\n";
        assert_eq!(parse(text), ["a>=1,<2", "b"]);
    }
}
