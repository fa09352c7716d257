//! How the stages ended.

use std::process::ExitCode;
use std::time::Instant;

use crate::problem::Problem;

/// How a stage ended, if it did not pass.
pub(super) enum Outcome {
    Failed(Problem),
    Skipped(String),
}

/// What the stages took, and how those ended that did not pass.
#[derive(Default)]
pub(super) struct Report {
    took: Vec<(&'static str, f64)>,
    failed: Vec<(&'static str, Problem)>,
    skipped: Vec<String>,
}

impl Report {
    pub(super) fn note(
        &mut self,
        name: &'static str,
        started: Instant,
        outcome: std::result::Result<(), Outcome>,
    ) {
        let verdict = match outcome {
            Ok(()) => "ok",
            Err(Outcome::Failed(problem)) => {
                self.failed.push((name, problem));
                "FAILED"
            }
            Err(Outcome::Skipped(why)) => {
                self.skipped.push(format!("{name}: {why}"));
                "SKIPPED"
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{verdict:<6} {name}  {seconds:.1} s");
        self.took.push((name, seconds));
    }

    /// The last lines are what people read.
    pub(super) fn end(self) -> ExitCode {
        for (name, problem) in &self.failed {
            eprintln!("\n== {name} FAILED\n{problem}\n");
        }
        let took: Vec<_> =
            self.took.iter().map(|(name, seconds)| format!("{name} {seconds:.0}")).collect();
        eprintln!("cargo lab test: seconds: {}", took.join(", "));
        for what in self.skipped {
            eprintln!("cargo lab test: SKIPPED: {what}");
        }
        if self.failed.is_empty() {
            return ExitCode::SUCCESS;
        }
        let failed: Vec<_> = self.failed.iter().map(|(name, _)| *name).collect();
        eprintln!("cargo lab test: FAILED: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}
