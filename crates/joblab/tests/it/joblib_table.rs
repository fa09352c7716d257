//! The table of joblib's promises: whole, and true to its word that there are such tests.

use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../../JOBLIB.md");

#[test]
fn the_rows_are_all_there() {
    let rows = TABLE.lines().filter_map(|line| {
        let cell = line.strip_prefix("| ")?.split(" | ").next()?;
        cell.parse::<u32>().ok()
    });
    // Those of joblib's checklist, and 14 beyond it.
    assert!(rows.eq(1..=86 + 14));
}

#[test]
fn every_test_that_the_table_names_exists() {
    let code = TABLE.split('`').skip(1).step_by(2);
    let names: Vec<(&str, &str)> = code
        .filter_map(|code| code.split_once("::"))
        .filter(|(module, _)| module.chars().all(|c| c.is_lowercase() || c == '_'))
        .collect();
    assert!(names.len() > 70, "{}", names.len());
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lab = own.join("../lab/tests");
    let places = [own.join("src/conformance"), own.join("tests/it"), lab.clone()];
    for (module, test) in names {
        let files = places.iter().map(|place| place.join(format!("{module}.rs")));
        let mut code = files.filter_map(|file| fs::read_to_string(file).ok()).peekable();
        // A package has the crate's own tests only.
        let is_elsewhere = code.peek().is_none() && !lab.is_dir();
        let is_there = code.any(|code| code.contains(&format!("\nfn {test}(")));
        assert!(is_there || is_elsewhere, "there is no {module}::{test}");
    }
}
