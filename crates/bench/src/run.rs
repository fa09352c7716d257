//! Lets the participants take turns: the first repeat of each, the second of each, and so on, so
//! that whatever disturbs the machine for a while disturbs all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::case::Case;
use crate::machine;
use crate::participants::Participants;
use crate::report;
use crate::results::{Measured, Results, Row};
use crate::who;

/// A case goes on for so long, or for so many rounds.
const ENOUGH: Duration = Duration::from_secs(6);
const MOST: usize = 11;
/// Where a round is shorter than this, those before it only warm up, and five others follow; else two have to
/// do.
const SHORT: Duration = Duration::from_secs(10);

pub(crate) fn measure(cases: &[Case]) -> Result<Results> {
    let mut participants = Participants::new()?;
    let mut rows = Vec::new();
    for case in cases {
        let begun = Instant::now();
        let row = Row::new(case, repeat(case, &mut participants));
        participants.close();
        eprintln!("{}", report::line(&row, begun.elapsed()));
        rows.push(row);
    }
    let mut versions = participants.versions();
    versions.extend(machine::versions());
    Ok(Results { machine: machine::describe(), versions, rows })
}

fn repeat(case: &Case, participants: &mut Participants) -> Vec<Measured> {
    let mut all: Vec<&'static str> =
        std::iter::once(who::JOBLAB).chain(case.others.iter().copied()).collect();
    let order = all.clone();
    let mut numbers: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let begun = Instant::now();
    let (mut rounds, mut least, mut is_warm) = (0, 2, false);
    while rounds < least || (rounds < MOST && begun.elapsed() < ENOUGH) {
        let round = Instant::now();
        let work = case.work.in_round(rounds);
        all.retain(|name| match participants.run(name, &work) {
            Ok(answer) => {
                let answer = answer.unwrap_or_default();
                for (who, number) in &answer {
                    numbers.entry(who).or_default().push(*number);
                }
                !answer.is_empty()
            }
            Err(problem) => {
                // One that fails stays out of this case, with what it has done.
                eprintln!("{}: {problem}", case.name);
                numbers.remove(name);
                false
            }
        });
        // Nobody runs behind the same neighbour each time.
        all.reverse();
        rounds += 1;
        if !is_warm && round.elapsed() < SHORT {
            numbers.clear();
            (rounds, least, is_warm) = (0, 5, true);
        }
    }
    let order = order.into_iter().chain([who::IDEAL]);
    order.filter_map(|who| Measured::new(who, numbers.remove(who)?)).collect()
}
