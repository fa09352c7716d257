//! Participants in Python: its pools, and the notebook kernel, which Python drives.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::machine::Pipe;
use super::{Answer, Participant};
use crate::case::Work;
use crate::growth::Point;
use crate::who;

/// Names the Python that has the peers' packages.
const PEERS_PYTHON: &str = "JOBLAB_BENCH_PYTHON";

pub(super) struct Script {
    name: &'static str,
    pipe: Pipe,
    hello: Hello,
    /// Whether it has made something since it was closed last.
    is_open: bool,
}

#[derive(Deserialize)]
struct Hello {
    python: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said<T> {
    Value(Option<T>),
    Failed(String),
}

/// Where a script is, by its path from this crate's folder. One that has moved breaks the build, not
/// the measurement.
macro_rules! script {
    ($path:literal) => {{
        const _: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path));
        here($path)
    }};
}

/// A pool of Python's.
pub(super) fn peer(name: &'static str, library: &Path) -> Result<Script> {
    let python = env::var_os(PEERS_PYTHON)
        .ok_or_else(|| anyhow!("{PEERS_PYTHON} names no Python: use cargo lab bench"))?;
    let mut command = Command::new(python);
    // What libraries warn of is nothing that the reader of a table can change.
    command.args(["-E", "-s", "-B", "-W", "ignore"]);
    command.arg(script!("src/peers/peers.py")).arg(name);
    command.env("JOBLAB_BENCH_LOOP", library);
    start(name, command)
}

/// A notebook kernel, driven with the Python that is first on PATH.
pub(super) fn kernel(name: &'static str) -> Result<Script> {
    let mut command = Command::new("python");
    command.args(["-s", "-B"]).arg(script!("src/peers/kernel.py")).arg(name);
    command.arg(here("../joblab"));
    // In place of the user's own.
    command.env("PYTHONPATH", script!("../lab/src/kernel/client.py").with_file_name(""));
    start(name, command)
}

/// A place in this crate.
fn here(path: &str) -> PathBuf {
    let root = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    root.join(path)
}

fn start(name: &'static str, command: Command) -> Result<Script> {
    let mut pipe = Pipe::to(command)?;
    let hello = pipe.read()?;
    let hello = serde_json::from_str(&hello)
        .map_err(|_| anyhow!("{name} did not start: it said {hello}"))?;
    Ok(Script { name, pipe, hello, is_open: false })
}

/// What a kernel is asked for growth.
#[derive(Serialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
enum Asked<'a> {
    Growth { sizes: &'a [u64] },
}

impl Script {
    fn ask<T: DeserializeOwned>(&mut self, work: &impl Serialize) -> Result<Option<T>> {
        self.is_open = true;
        let answer = self.pipe.ask(&serde_json::to_string(work)?)?;
        match serde_json::from_str(&answer) {
            Ok(Said::Value(value)) => Ok(value),
            Ok(Said::Failed(why)) => Err(anyhow!("{}: {why}", self.name)),
            Err(_) => Err(anyhow!("{} said {answer}", self.name)),
        }
    }

    /// What cells take, at each of these numbers of them.
    pub(super) fn cells(&mut self, sizes: &[u64]) -> Result<Vec<Point>> {
        let points = self.ask(&Asked::Growth { sizes })?;
        points.ok_or_else(|| anyhow!("{} has no cells", self.name))
    }
}

impl Participant for Script {
    fn run(&mut self, work: &Work) -> Result<Option<Answer>> {
        Ok(self.ask(work)?.map(|value| vec![(self.name, value)]))
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // Whoever cannot close says so again when it is asked for the next case.
            let _ = self.run(&Work::Close);
            self.is_open = false;
        }
    }

    fn versions(&self) -> Vec<(String, String)> {
        let python = ("Python".to_owned(), self.hello.python.clone());
        let own = (self.name.to_owned(), self.hello.version.clone());
        if self.name == who::JOBLAB { Vec::new() } else { vec![python, own] }
    }
}
