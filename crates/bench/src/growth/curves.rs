//! What grows, and which lines show it.

use super::point::Kind;
use crate::case::Unit;
use crate::case::Workers::{Processes, Threads};
use crate::report;

/// A picture: time on the left, memory on the right.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What one of its sizes is called, and several.
    pub(super) one: &'static str,
    pub(crate) many: &'static str,
    pub(super) sizes: &'static [u64],
    pub(crate) is_of_bytes: bool,
    /// Without any, the lines are those of notebooks' kernels.
    pub(super) lines: &'static [(&'static str, Kind)],
    /// What the number at a size is, in a sentence.
    pub(super) what: &'static str,
    /// Lines that are not straight, and why.
    pub(super) reasons: &'static [(&'static str, &'static str)],
}

const TASKS: &[u64] = &[1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const WORKERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
const BYTES: &[u64] =
    &[1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 4_000_000_000];
const CELLS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 150, 200];

pub(crate) fn all() -> Vec<Curve> {
    vec![
        Curve {
            name: "tasks",
            title: "Empty tasks in one call, two workers",
            one: "task",
            many: "tasks",
            sizes: TASKS,
            is_of_bytes: false,
            lines: &[
                ("threads", Kind::Tasks { workers: Threads, batched: true }),
                ("processes", Kind::Tasks { workers: Processes, batched: true }),
                ("threads, one by one", Kind::Tasks { workers: Threads, batched: false }),
                ("processes, one by one", Kind::Tasks { workers: Processes, batched: false }),
            ],
            what: "The time is that of a call on a warm pool. The memory is what the call takes at its \
                   peak, with its results and the record of each task.",
            reasons: &[(
                "threads, one by one",
                "Each task of its own takes some hundred bytes until the call ends: of so many the system gives most \
                 when they are first written to.",
            )],
        },
        Curve {
            name: "workers",
            title: "A pool of so many workers, on this machine's CPUs",
            one: "worker",
            many: "workers",
            sizes: WORKERS,
            is_of_bytes: false,
            lines: &[
                ("threads: made, used, closed", Kind::Start(Threads)),
                ("processes: made, used, closed", Kind::Start(Processes)),
                ("threads: a call when warm", Kind::Call(Threads)),
                ("processes: a call when warm", Kind::Call(Processes)),
            ],
            what: "Each call has as many empty tasks as there are workers. The memory is that of the idle pool, \
                   its processes included.",
            reasons: &[
                (
                    "threads: made, used, closed",
                    "So do rayon's threads alone: each that starts looks for work before it sleeps, and lets the others \
                     run in between.",
                ),
                (
                    "threads: a call when warm",
                    "A thread of rayon's that was woken looks for work some 32 times before it sleeps again, and lets \
                     others run in between: with more threads than CPUs the caller has its turn among all of them.",
                ),
                (
                    "processes: made, used, closed",
                    "Each worker that says something has the pool ask about all of them (poll(2)), and each of them says \
                     at least that it is there and what came of its task.",
                ),
                (
                    "processes: a call when warm",
                    "Whoever waits for workers asks the system about each of them every time (poll(2)), and where there \
                     are many on few CPUs, each that is woken has lost its caches to the others.",
                ),
            ],
        },
        Curve {
            name: "arguments",
            title: "An argument or result of so many bytes of numbers, processes",
            one: "byte",
            many: "bytes",
            sizes: BYTES,
            is_of_bytes: true,
            lines: &[
                ("argument, copied", Kind::Copied),
                ("result, copied", Kind::Returned),
                ("argument, shared", Kind::Shared),
            ],
            what: "The time is that of a call with one task on a warm pool. The memory is what the call takes \
                   at its peak in both processes, beside an argument that is there before; of a shared one, it \
                   is the numbers themselves.",
            reasons: &[
                (
                    "argument, copied",
                    "The pages of a large list are new: the system takes each of them, with zeros in it, when it is \
                     first written to, where a smaller list lies in memory that was used before. Of 4 GB a virtual \
                     machine may have to get most from its host: the same call again takes a part of that time.",
                ),
                (
                    "result, copied",
                    "So are those of a large result, and it is there four times: in the worker and here, each time as \
                     numbers and as the message.",
                ),
                (
                    "argument, shared",
                    "A worker maps the numbers anew for each call, and the system makes tables for the pages that the \
                     task touches: those of the first and of the last number are the same in a short list, and lie \
                     further apart in a longer one.",
                ),
            ],
        },
        Curve {
            name: "cells",
            title: "Cells run in one kernel, each with a new function for a warm pool of threads",
            one: "cell",
            many: "cells",
            sizes: CELLS,
            is_of_bytes: false,
            lines: &[],
            what: "The time is the median of the cells since the size before, and so level where a cell takes no \
                   longer for those that ran before it. The memory is that of the kernel with its processes.",
            reasons: &[],
        },
    ]
}

impl Curve {
    pub(super) fn picture(&self) -> String {
        format!("growth-{}.svg", self.name)
    }

    pub(super) fn kind(&self, line: &str) -> Option<Kind> {
        self.lines.iter().find(|(name, _)| *name == line).map(|(_, kind)| *kind)
    }

    pub(super) fn reason(&self, line: &str) -> Option<&'static str> {
        self.reasons.iter().find(|(name, _)| *name == line).map(|(_, reason)| *reason)
    }

    /// Whether a line is level where all is well, and not straight.
    pub(super) fn is_level(&self, line: &str) -> bool {
        self.lines.is_empty() || self.kind(line) == Some(Kind::Shared)
    }

    /// A size in words.
    pub(super) fn size(&self, size: u64) -> String {
        match (self.is_of_bytes, size) {
            (true, 1_000_000_000..) => format!("{} GB", size / 1_000_000_000),
            (true, 1_000_000..) => format!("{} MB", size / 1_000_000),
            (true, _) => format!("{} kB", size / 1_000),
            (false, 1) => format!("1 {}", self.one),
            (false, _) => format!("{} {}", grouped(size), self.many),
        }
    }

    /// The time of a point in words, and of it for one of its size.
    pub(super) fn seconds(&self, seconds: f64) -> String {
        report::quantity(seconds, Unit::Seconds)
    }
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let all = all();
        let size = |name: &str, size| all.iter().find(|it| it.name == name).unwrap().size(size);
        assert_eq!(size("tasks", 1_000_000), "1,000,000 tasks");
        assert_eq!(size("workers", 1), "1 worker");
        assert_eq!(size("arguments", 4_000_000_000), "4 GB");
    }

    #[test]
    fn reasons_are_given_for_lines_that_there_are() {
        for curve in all() {
            let is_known = |name: &str| curve.lines.is_empty() || curve.kind(name).is_some();
            assert!(curve.reasons.iter().all(|(name, _)| is_known(name)), "{}", curve.name);
        }
    }
}
