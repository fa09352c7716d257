//! The page beside the numbers.

use std::fmt::Write;

use super::point::{ENOUGH, MANY};
use super::{Curve, Growth, Line, curves, straight};
use crate::case::Unit;
use crate::report;

pub(super) const NAME: &str = "growth.md";
/// What is said of a curve that has no numbers.
pub(super) const NOT_YET: &str = "Not measured yet";
/// What is said of times that others have lengthened.
pub(super) const BUSY: &str = "**The machine had other work meanwhile, so that these times say little, and the memory what it says**";

pub(super) fn page(growth: &Growth) -> String {
    let machine = report::machine(&growth.machine);
    let mut page = format!(
        "# Growth\n\nWritten by `cargo lab bench --growth` on a machine with {machine}. The numbers are in \
         [growth.json](growth.json). Each point is measured in a process of its own; its time is the least of the repeats that fit into {:?}, \
         or, where these are more than {MANY}, into {:?}. A line *bends* where one \
         more costs over half as much again as at a smaller size; the exponent is fitted to the upper half of \
         a line's sizes. In the pictures the thin grey line has the slope of what is straight.\n",
        ENOUGH,
        ENOUGH / 4
    );
    if growth.load > growth.machine.cpus as f64 {
        let _ = write!(page, "\n{BUSY}: {:.0} threads wanted a CPU.\n", growth.load);
    }
    for curve in curves::all() {
        let _ = write!(page, "\n## {}\n\n{}\n\n", curve.title, curve.what);
        let Some(lines) = growth.curves.get(curve.name) else {
            let _ = writeln!(page, "{NOT_YET}: `cargo lab bench --growth {}`.", curve.name);
            continue;
        };
        let _ = writeln!(page, "![{}]({})\n", curve.title, curve.picture());
        lines.iter().for_each(|line| summary(&mut page, &curve, line));
        lines.iter().for_each(|line| table(&mut page, &curve, line));
    }
    page
}

fn summary(page: &mut String, curve: &Curve, line: &Line) {
    let _ = write!(page, "- {}: {}.", line.name, straight::said(curve, line));
    match curve.reason(&line.name) {
        Some(reason) => page.push_str(&format!(" {reason}")),
        None if straight::bends(curve, line).is_empty() => {}
        None => page.push_str(" The reason is not known."),
    }
    if let Some(why) = &line.left_out {
        let _ = write!(page, " Not measured {why}.");
    }
    page.push('\n');
}

fn table(page: &mut String, curve: &Curve, line: &Line) {
    let is_level = curve.is_level(&line.name);
    let _ = write!(page, "\n**{}**\n\n| size | time |", line.name);
    page.push_str(if is_level { " memory |\n| --- | --- | --- |\n" } else { "" });
    if !is_level {
        let one = curve.one;
        let _ = writeln!(
            page,
            " time / {one} | memory | memory / {one} |\n{}",
            "| --- ".repeat(5) + "|"
        );
    }
    for point in &line.points {
        let _ = write!(page, "| {} | {} |", curve.size(point.size), curve.seconds(point.seconds));
        let size = point.size as f64;
        let memory = point.bytes.map(|bytes| report::quantity(bytes, Unit::Bytes));
        let memory = memory.unwrap_or_else(|| "-".to_owned());
        let _ = match is_level {
            true => writeln!(page, " {memory} |"),
            false => {
                let each = point.bytes.map(|bytes| bytes_each(bytes / size));
                let each = each.unwrap_or_else(|| "-".to_owned());
                let seconds = time_each(point.seconds / size);
                writeln!(page, " {seconds} | {memory} | {each} |")
            }
        };
    }
}

/// A byte's share of a call is less than a nanosecond.
fn time_each(seconds: f64) -> String {
    if seconds < 1e-9 {
        format!("{:.3} ns", seconds * 1e9)
    } else {
        report::quantity(seconds, Unit::Seconds)
    }
}

fn bytes_each(bytes: f64) -> String {
    match bytes {
        100_000.0.. => report::quantity(bytes, Unit::Bytes),
        100.0.. => format!("{bytes:.0} B"),
        _ => format!("{bytes:.2} B"),
    }
}
