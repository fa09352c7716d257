//! The results in words: lines for the terminal, the table, the rows of the README.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::case::{Floor, Unit};
use crate::results::{Machine, Measured, Results, Row};
use crate::who;

const BEGIN: &str = "<!-- pasted by `cargo lab bench` -->\n";
const END: &str = "<!-- end -->\n";

/// The cases that the README shows.
const HEADLINES: &[&str] = &[
    "tutorial-threads",
    "tutorial-processes",
    "empty-threads",
    "shared-1GB",
    "costs-processes",
    "set-up-cell",
    "first-run",
    "cell-threads",
    "cell-processes",
];

/// Why joblab loses a row, and what bounds it, where that is known.
const REASONS: &[(&str, &str)] = &[
    (
        "empty-threads",
        "each task is recorded, with the clock of the wall and that of its thread at its end: reading the two takes \
         most of that, and rayon records nothing",
    ),
    (
        "empty-threads-single",
        "each task is a job of its own, which has a record, a place in the order of results and its turn in a first-in \
         first-out queue; rayon splits a range that is there",
    ),
    (
        "skewed-threads",
        "tasks start in their order, and nobody has said which one is long; rayon splits the list in two, so that the \
         long one comes early at some places, and late at others",
    ),
    (
        "start-threads",
        "it is rayon's pool that is made, and beside it the queue and the records of a first call",
    ),
    (
        "memory",
        "the program's code counts for each process by its share, and a worker has a thread that answers beside the \
         one that waits for its parent's end",
    ),
];

/// A number with three digits, in the unit in which it reads best.
pub(crate) fn quantity(value: f64, unit: Unit) -> String {
    let (name, scale) = match (unit, value) {
        (Unit::Bytes, _) => ("MB", 1e-6),
        (Unit::Seconds, 1.0..) => ("s", 1.0),
        (Unit::Seconds, 1e-3..) => ("ms", 1e3),
        (Unit::Seconds, 1e-6..) => ("µs", 1e6),
        (Unit::Seconds, _) => ("ns", 1e9),
    };
    format!("{} {name}", digits(value * scale))
}

fn digits(value: f64) -> String {
    let decimals = match value {
        99.95.. => 0,
        9.995.. => 1,
        0.0995.. => 2,
        // Below a tenth two digits say enough, and no zero stands for something.
        _ => (1.0 - value.max(1e-9).log10()).ceil() as usize,
    };
    format!("{value:.decimals$}")
}

/// A row for the terminal, with all that was measured.
pub(crate) fn line(row: &Row, took: Duration) -> String {
    let mut line = format!("{} ({:.0} s)", row.case, took.as_secs_f64());
    for it in &row.measured {
        let Measured { who, median, least, most, repeats } = it;
        let [median, least, most] = [median, least, most].map(|&it| quantity(it, row.unit));
        let _ = write!(line, "\n  {who:<24} {median:>10}   {least} to {most}, {repeats} repeats");
    }
    line + &marks(row).iter().map(|mark| format!("\n  {mark}")).collect::<String>()
}

/// What is wrong with a row.
fn marks(row: &Row) -> Vec<String> {
    let mut marks = Vec::new();
    if row.loses()
        && let Some((best, times)) = row.best_peer()
    {
        let reason = REASONS.iter().find(|(case, _)| *case == row.case);
        let reason = reason.map_or(String::new(), |(_, reason)| format!(" ({reason})"));
        marks.push(format!("**loses**: {} times {}{reason}", digits(1.0 / times), best.who));
    }
    if row.misses_floor() {
        marks.push("**misses its floor**".to_owned());
    }
    marks
}

/// The reference with its number, how many times as much joblab takes, and how much it should.
fn against(row: &Row) -> String {
    let Some((ratio, reference)) = row.ratio().zip(row.of(&row.reference)) else {
        return "-".to_owned();
    };
    let number = quantity(reference.median, row.unit);
    let floor = match row.floor {
        Some(Floor::Times(times)) => format!("; at most {times}"),
        Some(Floor::Absolute(most)) => format!("; at most {}", quantity(most, row.unit)),
        None => String::new(),
    };
    format!("{} x {} ({number}){floor}", digits(ratio), row.reference)
}

fn best_peer(row: &Row) -> String {
    match row.best_peer() {
        Some((best, times)) => {
            format!("{}, {} x joblab", named(best, row.unit), digits(times))
        }
        None => "-".to_owned(),
    }
}

fn spread(it: &Measured, unit: Unit) -> String {
    let [median, least, most] = [it.median, it.least, it.most].map(|it| quantity(it, unit));
    format!("{median} ({least} to {most})")
}

fn ours(row: &Row) -> String {
    row.ours().map_or("-".to_owned(), |ours| quantity(ours.median, row.unit))
}

fn marked(row: &Row) -> String {
    [row.title.clone()].into_iter().chain(marks(row)).collect::<Vec<_>>().join("; ")
}

pub(crate) fn machine(machine: &Machine) -> String {
    format!("{} CPUs ({}), {}", machine.cpus, machine.cpu, machine.system)
}

/// The page that stands beside the stored results.
pub(crate) fn page(results: &Results) -> String {
    let mut page = format!(
        "# Side by side\n\n\
         Written by `cargo lab bench` on a machine with {}. The numbers are in [results.json](results.json).\n\n\
         Each number is the median of the repeats, with the least and the most of them behind it; the repeats of all participants took turns. An empty \
         task's time is the whole call's divided by the number of tasks. Python's pools run as many of these as take them half a second, and \
         procspawn 10,000; their loop is that of the C program, through ctypes. A large argument is an array of numpy there and a vector here. The long one of \
         99 short tasks stands at another place in each round, since some pools are quick where it suits them. \
         A pool that cannot do what a row asks for is not in it: `multiprocessing.Pool`, for one, waits for a dead worker for ever.\n\n\
         ![How long each takes, in multiples of joblab's time](ratios.svg)\n\n\
         | what | joblab | against | best peer |\n| --- | --- | --- | --- |\n",
        machine(&results.machine)
    );
    for row in &results.rows {
        let (ours, against, best) = (ours(row), against(row), best_peer(row));
        let _ = writeln!(page, "| {} | {ours} | {against} | {best} |", marked(row));
    }
    page += "\n![Speedup against the number of workers](speedup.svg)\n\n\
             ![Time against the size of an argument](arguments.svg)\n\n\
             [Growth](growth.md) is what many tasks, workers, bytes and cells take.\n\n## All numbers\n";
    for row in &results.rows {
        let _ = write!(page, "\n**{}** (`{}`)\n\n", row.title, row.case);
        for it in &row.measured {
            let _ =
                writeln!(page, "- {}: {}, {} repeats", it.who, spread(it, row.unit), it.repeats);
        }
    }
    page += "\n## Versions\n\n";
    for (name, version) in &results.versions {
        let _ = writeln!(page, "- {name}: {version}");
    }
    page
}

/// The part of the README: the rows that matter most, and of how many joblab loses.
fn rows(results: &Results) -> String {
    let mut text =
        String::from("| | joblab | best peer (x joblab's time) |\n| --- | --- | --- |\n");
    for row in results.rows.iter().filter(|row| HEADLINES.contains(&row.case.as_str())) {
        let reference = row.of(&row.reference).map(|it| named(it, row.unit));
        let best = row
            .best_peer()
            .map(|(best, times)| format!("{} ({} x)", named(best, row.unit), digits(times)));
        let beside = match (reference, best) {
            // What the notebook's kernel takes by itself tells more than another language's.
            (Some(evcxr), Some(best)) if row.reference == who::EVCXR => format!("{evcxr}; {best}"),
            (reference, best) => best.or(reference).unwrap_or_else(|| "-".to_owned()),
        };
        let _ = writeln!(text, "| {} | {} | {beside} |", with_loss(row), ours(row));
    }
    let version = |name| results.versions.get(name).map_or("unknown", String::as_str);
    let lost = results.rows.iter().filter(|row| row.loses()).count();
    let _ = writeln!(
        text,
        "\n*Medians of one run on {};\njoblib {}, Python {}.*\n\n\
         joblab loses {lost} of {} rows: [all of them](crates/bench/results/README.md), with spread, floors and \
         figures,\nand [what grows how](crates/bench/results/growth.md): tasks, workers, bytes, cells.",
        machine(&results.machine),
        version(who::JOBLIB_LOKY),
        version("Python"),
        results.rows.len(),
    );
    text
}

fn named(it: &Measured, unit: Unit) -> String {
    format!("{}: {}", it.who, quantity(it.median, unit))
}

fn with_loss(row: &Row) -> String {
    if row.loses() { format!("{}: **loses**", row.title) } else { row.title.clone() }
}

/// Puts the rows between their marks.
pub(crate) fn paste(readme: &str, results: &Results) -> Result<String> {
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts
        .ok_or_else(|| anyhow!("the README has no place for the numbers, {BEGIN} to {END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", rows(results)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn a_row_that_joblab_loses_says_so_wherever_it_stands() {
        let all: &[(&str, &[f64])] = &[(who::JOBLAB, &[3e-6]), (who::RAYON, &[1e-6])];
        let lost = results(all, Some(Floor::Times(1.5)));
        let page = page(&lost);
        assert!(page.contains("**loses**: 3.00 times rayon; **misses its floor**"), "{page}");
        // It is no headline: the README counts it.
        let readme = paste(&format!("a\n{BEGIN}old\n{END}b\n"), &lost).unwrap();
        assert!(readme.contains("joblab loses 1 of 1 rows: [all"), "{readme}");
        assert!(!readme.contains("made-up") && !readme.contains("old"), "{readme}");
        assert!(readme.starts_with("a\n") && readme.ends_with("b\n"));
        let mut headline = lost;
        headline.rows[0].case = HEADLINES[0].to_owned();
        let readme = paste(&readme, &headline).unwrap();
        let row = "| a made-up case: **loses** | 3.00 µs | rayon: 1.00 µs (0.33 x) |";
        assert!(readme.contains(row), "{readme}");

        let won = results(&[(who::JOBLAB, &[1e-6]), (who::RAYON, &[3e-6])], None);
        assert!(!super::page(&won).contains("**loses**"));
        assert!(paste(&readme, &won).unwrap().contains("joblab loses 0 of 1 rows"));
    }

    #[test]
    fn every_headline_is_a_case() {
        let all = crate::case::all(2);
        let missing = HEADLINES.iter().find(|name| all.iter().all(|case| case.name != **name));
        assert_eq!(missing, None);
    }

    #[test]
    fn reasons_are_given_for_cases_that_there_are_and_stand_beside_the_loss() {
        let all = crate::case::all(2);
        assert!(REASONS.iter().all(|(name, _)| all.iter().any(|case| case.name == *name)));
        let mut lost = results(&[(who::JOBLAB, &[3e-6]), (who::RAYON, &[1e-6])], None);
        lost.rows[0].case = REASONS[0].0.to_owned();
        let said = format!("**loses**: 3.00 times rayon ({})", REASONS[0].1);
        assert!(page(&lost).contains(&said));
    }

    #[test]
    fn a_readme_without_the_marks_is_refused() {
        assert!(paste("nothing", &results(&[], None)).is_err());
    }

    #[test]
    fn quantities_take_the_unit_that_reads_best() {
        let text = [4.5e-9, 1.5e-6, 0.0123, 62.0].map(|it| quantity(it, Unit::Seconds));
        assert_eq!(text, ["4.50 ns", "1.50 µs", "12.3 ms", "62.0 s"]);
        assert_eq!(quantity(2.5e6, Unit::Bytes), "2.50 MB");
        assert_eq!([0.65, 0.0024, 0.012].map(digits), ["0.65", "0.0024", "0.012"]);
    }
}
