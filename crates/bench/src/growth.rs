//! How time and memory grow with the number of tasks, of workers, of bytes in an argument, of cells: what is
//! straight on paper is shown to be straight, or why it is not.

pub(crate) mod curves;
mod page;
mod point;
mod straight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::figures::curve;
use crate::results::Machine;
use crate::{machine, participants, results};

pub(crate) use curves::Curve;
pub(crate) use point::measure as measure_point;

/// What was measured, as it is stored.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    machine: Machine,
    /// How many threads wanted a CPU on average in the minute before the last curves were measured.
    load: f64,
    /// The lines of each curve, by its name.
    curves: BTreeMap<String, Vec<Line>>,
}

/// One line of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
    /// The sizes that were not measured, and why.
    pub(crate) left_out: Option<String>,
}

/// What so many tasks, workers, bytes or cells take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) size: u64,
    pub(crate) seconds: f64,
    /// What all processes hold at most, beyond what they held before; of a call of a warm pool, none.
    pub(crate) bytes: Option<f64>,
}

/// No point takes longer, as far as the one before it tells.
const LONGEST: Duration = Duration::from_secs(90);
/// No point takes more of the memory that is free.
const SHARE: f64 = 0.7;

/// Measures the curves of these names, or all, and stores them with their pictures.
pub(crate) fn run(wanted: &[&String], folder: &Path) -> Result<()> {
    let all = curves::all();
    let load = machine::load();
    if let Some(wrong) = wanted.iter().find(|it| all.iter().all(|curve| curve.name != it.as_str()))
    {
        let names: Vec<_> = all.iter().map(|curve| curve.name).collect();
        bail!("there is no curve {wrong}; the curves are {}", names.join(", "));
    }
    let mut curves = match wanted {
        [] => BTreeMap::new(),
        _ => Growth::load(folder).map_or_else(|_| BTreeMap::new(), |stored| stored.curves),
    };
    for curve in &all {
        if wanted.is_empty() || wanted.iter().any(|it| curve.name == it.as_str()) {
            let begun = Instant::now();
            let lines = match curve.lines {
                [] => cells(curve)?,
                kinds => kinds.iter().map(|(name, _)| line(curve, name)).collect(),
            };
            for line in &lines {
                eprintln!("{}: {}", line.name, straight::said(curve, line));
            }
            eprintln!("{} ({:.0} s)", curve.name, begun.elapsed().as_secs_f64());
            curves.insert(curve.name.to_owned(), lines);
        }
    }
    Growth { machine: machine::describe(), load, curves }.store(folder)
}

/// All points of a line that fit into the machine.
fn line(curve: &Curve, name: &str) -> Line {
    let mut line = Line { name: name.to_owned(), points: Vec::new(), left_out: None };
    for &size in curve.sizes {
        let point = match refused(curve, &line, size) {
            Some(why) => Err(why),
            None => in_a_new_process(curve, name, size).map_err(|error| error.to_string()),
        };
        match point {
            Ok(point) => {
                eprintln!("  {} {name}, {size}: {:.3e} s", curve.name, point.seconds);
                line.points.push(point);
            }
            Err(why) => {
                let size = curve.size(size);
                line.left_out = Some(format!("from {size} on: {why}"));
                break;
            }
        }
    }
    line
}

/// Why a size is not tried, by what the one before it took.
fn refused(curve: &Curve, line: &Line, size: u64) -> Option<String> {
    let last = line.points.last()?;
    let times = size as f64 / last.size as f64;
    // An argument is made before it is measured.
    let own = if curve.is_of_bytes { size as f64 } else { 0.0 };
    let needed = last.bytes.unwrap_or(0.0) * times + own;
    // What can be had without taking it from others (proc(5)).
    let free = machine::bytes("/proc/meminfo", "MemAvailable:")?;
    if needed > SHARE * free {
        let [needed, free] = [needed, free].map(|bytes| bytes / 1e9);
        return Some(format!("it would take about {needed:.0} GB, and {free:.0} GB are free"));
    }
    let seconds = last.seconds * times;
    (seconds > LONGEST.as_secs_f64()).then(|| format!("it would take about {seconds:.0} s"))
}

/// A process that has done something before would reuse the memory of that.
fn in_a_new_process(curve: &Curve, line: &str, size: u64) -> Result<Point> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args([POINT, curve.name, line, &size.to_string()]);
    let output = command.output()?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow!("{}", said.trim().lines().last().unwrap_or("its process has ended without a word"))
    })
}

/// The option by which this program measures one point.
pub(crate) const POINT: &str = "--point";

/// Cells are run one after another by the notebook's own client.
fn cells(curve: &Curve) -> Result<Vec<Line>> {
    let names = [crate::who::JOBLAB, crate::who::EVCXR];
    let line = |name| {
        let points = participants::cells(name, curve.sizes)?;
        Ok(Line { name: str::to_owned(name), points, left_out: None })
    };
    names.into_iter().map(line).collect()
}

impl Growth {
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        results::load(&file(folder))
    }

    /// Writes the numbers, their page and their pictures.
    pub(crate) fn store(&self, folder: &Path) -> Result<()> {
        results::save(&file(folder), self)?;
        for (name, text) in self.written()? {
            results::write(&folder.join(name), &text)?;
        }
        eprintln!("written to {}", folder.join(page::NAME).display());
        Ok(())
    }

    /// What is made of the numbers: each file's name and text.
    fn written(&self) -> Result<Vec<(String, String)>> {
        let mut files = vec![(page::NAME.to_owned(), page::page(self))];
        for shown in curves::all() {
            if let Some(lines) = self.curves.get(shown.name) {
                files.push((shown.picture(), curve::draw(&shown, lines)?));
            }
        }
        Ok(files)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("growth.json")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn stored() -> (PathBuf, Growth) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let growth = Growth::load(&folder).unwrap();
        (folder, growth)
    }

    #[test]
    fn the_pictures_and_the_page_are_those_of_the_numbers() {
        let (folder, growth) = stored();
        for (name, text) in growth.written().unwrap() {
            let stored = fs::read_to_string(folder.join(&name)).unwrap();
            assert!(stored == text, "{name} is older than the numbers: `cargo lab bench --report`");
        }
    }

    #[test]
    fn each_curve_is_stored_with_all_its_lines_and_sizes_or_with_the_reason_why_not() {
        let (_, growth) = stored();
        let page = page::page(&growth);
        for curve in curves::all() {
            let Some(lines) = growth.curves.get(curve.name) else {
                assert!(page.contains(&format!(
                    "{}: `cargo lab bench --growth {}`",
                    page::NOT_YET,
                    curve.name
                )));
                continue;
            };
            let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
            let kinds: Vec<_> = curve.lines.iter().map(|(name, _)| *name).collect();
            assert!(kinds.is_empty() || names == kinds, "{names:?}");
            for line in lines {
                let sizes: Vec<_> = line.points.iter().map(|point| point.size).collect();
                assert!(curve.sizes.starts_with(&sizes), "{}: {sizes:?}", line.name);
                assert_eq!(sizes.len() < curve.sizes.len(), line.left_out.is_some());
            }
        }
    }

    #[test]
    fn a_bend_is_on_the_page_with_its_reason_or_that_there_is_none() {
        let point = |size: u64| Point { size, seconds: (size * size) as f64, bytes: None };
        let machine = machine::describe();
        let mut growth = Growth { machine, load: 0.0, curves: BTreeMap::new() };
        for curve in curves::all() {
            let line = |(name, _): &(&str, point::Kind)| Line {
                name: (*name).to_owned(),
                points: curve.sizes.iter().map(|&size| point(size)).collect(),
                left_out: None,
            };
            growth.curves.insert(curve.name.to_owned(), curve.lines.iter().map(line).collect());
        }
        let page = page::page(&growth);
        let bends = page.lines().filter(|line| line.contains("**bends**"));
        let reasons: Vec<&str> = curves::all()
            .iter()
            .flat_map(|curve| curve.reasons.iter().map(|(_, it)| *it))
            .collect();
        let (known, unknown): (Vec<&str>, Vec<&str>) =
            bends.partition(|line| reasons.iter().any(|reason| line.contains(reason)));
        assert_eq!(known.len(), reasons.len());
        assert!(!page.contains(page::BUSY));
        growth.load = 3.0 * growth.machine.cpus as f64;
        assert!(page::page(&growth).contains(page::BUSY));
        assert!(unknown.iter().all(|line| line.ends_with("The reason is not known.")));
    }

    #[test]
    fn what_would_not_fit_is_not_tried() {
        let curve = curves::all().into_iter().find(|curve| curve.is_of_bytes).unwrap();
        let point = Point { size: 1000, seconds: 1e-6, bytes: Some(3000.0) };
        let line = |point| Line { name: String::new(), points: vec![point], left_out: None };
        assert_eq!(refused(&curve, &line(point.clone()), 10_000), None);
        let huge = Point { bytes: Some(1e15), ..point.clone() };
        assert!(refused(&curve, &line(huge), 10_000).unwrap().contains("GB are free"));
        let slow = Point { seconds: 10.0, ..point };
        assert_eq!(refused(&curve, &line(slow), 10_000).unwrap(), "it would take about 100 s");
    }
}
