//! What the machine is.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::results::Machine;

pub(crate) fn describe() -> Machine {
    let cpu = field("/proc/cpuinfo", "model name");
    let release = field("/etc/os-release", "PRETTY_NAME");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Machine {
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cpus: joblab::cpu_count(),
        system: format!("{}, kernel {}", release.unwrap_or_default(), kernel.trim()),
    }
}

/// How many threads have wanted a CPU on average in the last minute (proc(5)).
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0.0)
}

/// The value behind a name and a colon or an equals sign.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = line.split_once([':', '='])?.1;
    Some(value.trim().trim_matches('"').to_owned())
}

/// The bytes behind a name, in a table that counts by 1024 of them (proc(5)).
pub(crate) fn bytes(path: &str, name: &str) -> Option<f64> {
    let kilobytes: f64 = field(path, name)?.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// Versions of programs that take part without being asked.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let programs = [("rustc", "rustc"), ("evcxr_jupyter", "evcxr_jupyter")];
    let version = |(name, program): (&str, &str)| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let words = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version = words.strip_prefix(name).unwrap_or(&words).trim().to_owned();
        Some((name.to_owned(), version)).filter(|(_, version)| !version.is_empty())
    };
    programs.into_iter().filter_map(version).collect()
}
