//! Measures joblab beside what people would pick instead, and beside the machine. `cargo lab bench`
//! builds and runs it.

mod case;
mod figures;
mod growth;
mod machine;
mod noise;
mod participants;
mod pictures;
mod report;
mod results;
mod run;
mod who;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};

use case::Case;
use growth::Growth;
use results::Results;

fn main() -> ExitCode {
    #[cfg(feature = "measure")]
    procspawn::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    bench(&arguments).unwrap_or_else(|problem| {
        eprintln!("error: {problem:#}");
        ExitCode::FAILURE
    })
}

fn bench(arguments: &[String]) -> Result<ExitCode> {
    if let [option, point @ ..] = arguments
        && option == growth::POINT
    {
        println!("{}", serde_json::to_string(&growth::measure_point(point)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (options, names): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    let known = ["--check", "--growth", "--report", "--pictures"];
    if let Some(wrong) = options.iter().find(|option| !known.contains(&option.as_str())) {
        let known = known.join(", ");
        bail!("`cargo lab bench` has no option {wrong}; it has {known}");
    }
    let is_asked = |name: &str| options.iter().any(|option| *option == name);
    if is_asked("--report") {
        Growth::load(&folder())?.store(&folder())?;
        return store(&Results::load(&folder())?).map(|()| ExitCode::SUCCESS);
    }
    if is_asked("--growth") {
        return growth::run(&names, &folder()).map(|()| ExitCode::SUCCESS);
    }
    if is_asked("--pictures") {
        return pictures::save(&folder()).map(|()| ExitCode::SUCCESS);
    }
    let checks = is_asked("--check");
    let cases = chosen(case::all(joblab::cpu_count()), &names)?;
    let stored = if checks { Some(Results::load(&folder())?) } else { None };
    let results = run::measure(&cases)?;
    match stored {
        Some(stored) => check(&cases, &results, &stored),
        None if names.is_empty() => {
            store(&results)?;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The cases of these names, or, for what is no name, those whose names begin like it; without any
/// all cases.
fn chosen(cases: Vec<Case>, wanted: &[&String]) -> Result<Vec<Case>> {
    let is_name = |wanted: &str| cases.iter().any(|case| case.name == wanted);
    let fits = |case: &Case, wanted: &str| {
        case.name == wanted || (!is_name(wanted) && case.name.starts_with(wanted))
    };
    if let Some(wrong) = wanted.iter().find(|it| !cases.iter().any(|case| fits(case, it))) {
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        let names = names.join(", ");
        bail!("there is no case {wrong}; the cases are {names}");
    }
    let is_chosen = |case: &&Case| wanted.is_empty() || wanted.iter().any(|it| fits(case, it));
    Ok(cases.iter().filter(is_chosen).cloned().collect())
}

/// Says what has lost. What seems to have is measured once more: a neighbour may have disturbed it.
fn check(cases: &[Case], results: &Results, stored: &Results) -> Result<ExitCode> {
    let lost = results.losses(stored);
    let is_lost =
        |case: &&Case| lost.iter().any(|line| line.starts_with(&format!("{}:", case.name)));
    let again: Vec<Case> = cases.iter().filter(is_lost).cloned().collect();
    if again.is_empty() {
        eprintln!("no case has lost a quarter against the stored run, or more than its noise");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("once more, since these seem to have lost: {}", lost.join("; "));
    let lost = run::measure(&again)?.losses(stored);
    lost.iter().for_each(|line| eprintln!("LOST {line}"));
    Ok(if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the results, their table and figures, and the rows of the README.
fn store(results: &Results) -> Result<()> {
    let folder = folder();
    results.save(&folder)?;
    results::write(&folder.join("README.md"), &report::page(results))?;
    figures::save(results, &folder)?;
    let readme = readme();
    let text = std::fs::read_to_string(&readme)
        .map_err(|error| anyhow!("cannot read {}: {error}", readme.display()))?;
    results::write(&readme, &report::paste(&text, results)?)?;
    eprintln!("written to {} and into {}", folder.display(), readme.display());
    Ok(())
}

fn folder() -> PathBuf {
    here().join("results")
}

fn readme() -> PathBuf {
    here().join("../../README.md")
}

/// The folder of this crate: `cargo run` says where it is now, the build where it was.
fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_and_the_table_say_what_the_stored_results_say() {
        let results = Results::load(&folder()).unwrap();
        let readme = std::fs::read_to_string(readme()).unwrap();
        let remedy = "run `cargo lab bench`, which pastes the numbers";
        assert_eq!(report::paste(&readme, &results).unwrap(), readme, "{remedy}");
        let page = std::fs::read_to_string(folder().join("README.md")).unwrap();
        assert_eq!(report::page(&results), page, "{remedy}");
    }

    #[test]
    fn the_readme_shows_the_pictures_and_is_no_wider_than_a_screen() {
        let readme = std::fs::read_to_string(readme()).unwrap();
        for name in pictures::NAMES {
            assert!(readme.contains(&format!("](crates/bench/results/{name})")), "{name}");
        }
        let wide: Vec<&str> = readme.lines().filter(|line| line.chars().count() > 120).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }

    #[test]
    fn cases_are_chosen_by_the_beginning_of_their_names() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            let chosen = chosen(case::all(2), &wanted.iter().collect::<Vec<_>>())?;
            anyhow::Ok(chosen.into_iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["death", "call"]).unwrap(), ["call-threads", "call-processes", "death"]);
        // One that is a name is not the beginning of others.
        assert_eq!(names(&["empty-threads"]).unwrap(), ["empty-threads"]);
        assert_eq!(names(&[]).unwrap().len(), case::all(2).len());
        assert!(names(&["no-such"]).unwrap_err().to_string().contains("tutorial-threads"));
    }
}
