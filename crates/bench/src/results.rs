//! The results of a run, as they are stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Floor, Unit};
use crate::{noise, who};

/// Joblab loses to a peer that takes less than it by more than the noise of a good run.
const NOISE: f64 = 1.05;
/// What `--check` calls a loss: a ratio that has grown by a quarter, and by more than noise.
const LOSS: f64 = 1.25;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Of the participants and of what built them.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) system: String,
}

/// What a case came to.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) reference: String,
    pub(crate) floor: Option<Floor>,
    pub(crate) measured: Vec<Measured>,
}

/// The repeats of one participant, in the unit of the case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) who: String,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) repeats: usize,
}

impl Measured {
    pub(crate) fn new(who: &str, mut repeats: Vec<f64>) -> Option<Self> {
        repeats.sort_by(f64::total_cmp);
        let (least, most) = (*repeats.first()?, *repeats.last()?);
        let middle = repeats.len() / 2;
        let median = match repeats.len() % 2 {
            0 => (repeats[middle - 1] + repeats[middle]) / 2.0,
            _ => repeats[middle],
        };
        Some(Measured { who: who.to_owned(), median, least, most, repeats: repeats.len() })
    }
}

impl Row {
    pub(crate) fn new(case: &Case, measured: Vec<Measured>) -> Self {
        Row {
            case: case.name.clone(),
            title: case.title.clone(),
            unit: case.unit,
            reference: case.reference.to_owned(),
            floor: case.floor,
            measured,
        }
    }

    pub(crate) fn of(&self, who: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.who == who)
    }

    pub(crate) fn ours(&self) -> Option<&Measured> {
        self.of(who::JOBLAB)
    }

    /// How many times as much as its reference joblab takes.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.ours()?.median / self.of(&self.reference)?.median)
    }

    /// The peers, the best first.
    pub(crate) fn peers(&self) -> Vec<&Measured> {
        let is_peer = |name: &str| name != who::JOBLAB && !who::MACHINE.contains(&name);
        let mut peers: Vec<_> = self.measured.iter().filter(|it| is_peer(&it.who)).collect();
        peers.sort_by(|a, b| a.median.total_cmp(&b.median));
        peers
    }

    /// The best peer and how many times as much as joblab it takes.
    pub(crate) fn best_peer(&self) -> Option<(&Measured, f64)> {
        let best = self.peers().into_iter().next()?;
        Some((best, best.median / self.ours()?.median))
    }

    pub(crate) fn loses(&self) -> bool {
        self.best_peer().is_some_and(|(_, times)| times * NOISE < 1.0)
    }

    /// Whether joblab takes more than it should.
    pub(crate) fn misses_floor(&self) -> bool {
        let most = match self.floor {
            Some(Floor::Times(times)) => self.of(&self.reference).map(|it| it.median * times),
            Some(Floor::Absolute(most)) => Some(most),
            None => None,
        };
        self.ours().zip(most).is_some_and(|(ours, most)| ours.median > most)
    }

    /// Up to which ratio joblab has lost nothing against an earlier run.
    fn most(&self, earlier: &Row) -> Option<f64> {
        let measured = [self, earlier].map(|row| Some([row.ours()?, row.of(&row.reference)?]));
        let measured: Vec<_> = measured.into_iter().collect::<Option<Vec<_>>>()?.concat();
        Some(earlier.ratio()? * noise::factor(&measured).max(LOSS))
    }

    /// Whether joblab has lost against an earlier run. Not where only its median has, or only its
    /// best repeat.
    fn has_lost(&self, earlier: &Row) -> bool {
        let grown = |value: fn(&Measured) -> f64| {
            let ratio = |row: &Row| Some(value(row.ours()?) / value(row.of(&row.reference)?));
            Some(ratio(self)? / ratio(earlier)?)
        };
        let most = self.most(earlier).zip(earlier.ratio()).map(|(most, ratio)| most / ratio);
        let grown = [grown(|it| it.median), grown(|it| it.least)];
        grown.iter().all(|grown| grown.zip(most).is_some_and(|(grown, most)| grown > most))
    }
}

impl Results {
    pub(crate) fn row(&self, case: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }

    /// What has lost since an earlier run, in words. A case that only one of them has is left out.
    pub(crate) fn losses(&self, earlier: &Results) -> Vec<String> {
        let lost = |row: &Row| {
            let before = earlier.row(&row.case).filter(|before| row.has_lost(before))?;
            let (now, most, before) = (row.ratio()?, row.most(before)?, before.ratio()?);
            let (case, reference) = (&row.case, &row.reference);
            Some(format!(
                "{case}: {now:.2} times {reference}, and {before:.2} in the stored run; up to {most:.2} would be \
                 no loss"
            ))
        };
        self.rows.iter().filter_map(lost).collect()
    }

    pub(crate) fn load(folder: &Path) -> Result<Self> {
        load(&file(folder))
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        save(&file(folder), self)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("results.json")
}

/// Reads numbers that were stored.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path)
        .map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| anyhow!("{} is damaged: {error}", path.display()))
}

/// Stores numbers.
pub(crate) fn save(path: &Path, numbers: &impl Serialize) -> Result<()> {
    write(path, &(serde_json::to_string_pretty(numbers)? + "\n"))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Made-up results of one case that is measured against rayon.
    pub(crate) fn results(repeats: &[(&str, &[f64])], floor: Option<Floor>) -> Results {
        let measured =
            repeats.iter().filter_map(|(who, repeats)| Measured::new(who, repeats.to_vec()));
        let row = Row {
            case: "made-up".to_owned(),
            title: "a made-up case".to_owned(),
            unit: Unit::Seconds,
            reference: who::RAYON.to_owned(),
            floor,
            measured: measured.collect(),
        };
        let machine = Machine { cpu: "none".to_owned(), cpus: 2, system: "none".to_owned() };
        Results { machine, versions: BTreeMap::new(), rows: vec![row] }
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        let measured = Measured::new("a", vec![3.0, 1.0, 10.0]).unwrap();
        assert_eq!((measured.least, measured.median, measured.most), (1.0, 3.0, 10.0));
        assert_eq!(Measured::new("a", vec![4.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(Measured::new("a", vec![]), None);
    }

    #[test]
    fn numbers_that_are_read_and_written_again_stay_the_same() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let stored = Results::load(&folder).unwrap();
        let text = serde_json::to_string_pretty(&stored).unwrap() + "\n";
        assert!(text == fs::read_to_string(file(&folder)).unwrap());
    }

    #[test]
    fn a_ratio_that_grows_by_more_than_a_quarter_and_than_noise_is_a_loss() {
        let run = |ours: &[f64], rayon: &[f64]| {
            results(&[(who::JOBLAB, ours), (who::RAYON, rayon)], None)
        };
        let rayon = [1.0, 1.0, 1.0];
        let stored = run(&[2.0, 2.02, 2.04], &rayon);
        assert!(stored.losses(&stored).is_empty());
        let lost = run(&[2.8, 2.82, 2.84], &rayon).losses(&stored);
        let said =
            "made-up: 2.82 times rayon, and 2.02 in the stored run; up to 2.52 would be no loss";
        assert_eq!(lost, [said]);
        // A slower machine is slower for all.
        assert!(run(&[6.0, 6.06, 6.12], &[3.0; 3]).losses(&stored).is_empty());
        // A quarter less a little.
        assert!(run(&[2.4, 2.5, 2.52], &rayon).losses(&stored).is_empty());
        // One repeat shows that it can be as fast as before.
        assert!(run(&[2.0, 2.9, 3.0], &rayon).losses(&stored).is_empty());
        // Repeats that are as far from each other as the runs are, in either of them.
        let wide = run(&[2.8, 3.4, 4.2], &rayon);
        assert!(wide.losses(&stored).is_empty());
        let wide = run(&[2.0, 2.4, 3.0], &rayon);
        assert!(run(&[3.1, 3.12, 3.13], &rayon).losses(&wide).is_empty());
        // A gain is no loss, and what was not measured then is none either.
        assert!(run(&[1.0, 1.01, 1.02], &rayon).losses(&stored).is_empty());
        assert!(stored.losses(&results(&[], None)).is_empty());
    }

    #[test]
    fn joblab_loses_where_a_peer_takes_less_and_the_machine_is_no_peer() {
        let row = |peer| results(&[(who::JOBLAB, &[2.0]), (peer, &[1.0])], None).rows.remove(0);
        assert!(row(who::RAYON).loses());
        assert!(!row(who::PING_PONG).loses());
        let even = results(&[(who::JOBLAB, &[2.0]), (who::MPIRE, &[1.95])], None);
        assert!(!even.rows[0].loses());
    }

    #[test]
    fn floors_are_missed_by_a_ratio_or_by_a_number() {
        let row = |floor| {
            let all: &[(&str, &[f64])] = &[(who::JOBLAB, &[2.0]), (who::RAYON, &[1.0])];
            results(all, Some(floor)).rows.remove(0)
        };
        assert!(row(Floor::Times(1.9)).misses_floor() && !row(Floor::Times(2.1)).misses_floor());
        assert!(row(Floor::Absolute(1.9)).misses_floor());
        assert!(!row(Floor::Absolute(2.1)).misses_floor());
    }
}
