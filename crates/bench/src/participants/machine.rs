//! The machine itself: what nobody can be faster than.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Result, anyhow, bail};

use super::{Answer, Participant, numbers, seconds, seconds_each};
use crate::case::Work;
use crate::who;

/// The loop in C, as a program and as a library for Python's peers.
pub(super) struct Tools {
    program: PathBuf,
    pub(super) library: PathBuf,
    compiler: String,
}

impl Tools {
    /// Compiles the loop with the system's C compiler.
    pub(super) fn make() -> Result<Self> {
        let folder = std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.join("joblab-bench-tools")))
            .ok_or_else(|| anyhow!("this program does not know where it is"))?;
        let source = folder.join("loop.c");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&source, include_str!("../loop.c")))
            .map_err(|error| anyhow!("cannot write {}: {error}", source.display()))?;
        let (program, library) = (folder.join("loop"), folder.join("libloop.so"));
        for (path, options) in [(&program, &[][..]), (&library, &["-shared", "-fPIC"][..])] {
            let mut cc = Command::new("cc");
            cc.arg("-O3").args(options).arg(&source).arg("-o").arg(path).arg("-lm");
            if !cc.status().is_ok_and(|status| status.success()) {
                let remedy = "a C compiler called `cc` is needed (Debian: build-essential)";
                bail!("cannot compile the loop in C: {remedy}");
            }
        }
        let version = Command::new("cc").arg("--version").output();
        let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
        let first = version.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        Ok(Tools { program, library, compiler: first })
    }

    pub(super) fn start(&self, name: &'static str) -> Result<Machine> {
        let what = match name {
            who::C => What::Loop(Pipe::to(Command::new(&self.program))?),
            who::PING_PONG => What::PingPong(PingPong::start()?),
            who::COPY => What::Copy,
            _ => What::ProcessStart,
        };
        Ok(Machine { name, what, compiler: self.compiler.clone() })
    }
}

pub(super) struct Machine {
    name: &'static str,
    what: What,
    compiler: String,
}

enum What {
    Loop(Pipe),
    PingPong(PingPong),
    Copy,
    ProcessStart,
}

impl Participant for Machine {
    fn run(&mut self, work: &Work) -> Result<Option<Answer>> {
        let value = match (&mut self.what, work) {
            (What::Loop(program), Work::Loop { n }) => {
                let answer = program.ask(&n.to_string())?;
                answer.trim().parse().map_err(|_| anyhow!("the loop in C gave no number"))?
            }
            (What::PingPong(process), _) => process.round_trip()?,
            (What::Copy, Work::Argument { bytes, .. } | Work::Result { bytes, .. }) => {
                let numbers = numbers(*bytes);
                seconds_each(|| anyhow::Ok(numbers.clone()))?
            }
            (What::ProcessStart, _) => seconds(|| Command::new("true").status())?,
            _ => return Ok(None),
        };
        Ok(Some(vec![(self.name, value)]))
    }

    fn close(&mut self) {}

    fn versions(&self) -> Vec<(String, String)> {
        match self.what {
            What::Loop(_) => vec![("cc".to_owned(), self.compiler.clone())],
            _ => Vec::new(),
        }
    }
}

/// A process that answers each line with a line. It ends when its input does.
pub(super) struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    pub(super) fn to(mut command: Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| anyhow!("cannot start {name}: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (input, Some(output)) => Ok(Pipe { child, input, output: BufReader::new(output) }),
            _ => Err(anyhow!("a child without pipes")),
        }
    }

    pub(super) fn ask(&mut self, line: &str) -> Result<String> {
        let written = self.input.as_mut().map(|input| writeln!(input, "{line}"));
        match written {
            Some(Ok(())) => self.read(),
            _ => Err(anyhow!("a participant has ended before its time")),
        }
    }

    pub(super) fn read(&mut self) -> Result<String> {
        let mut answer = String::new();
        match self.output.read_line(&mut answer) {
            Ok(1..) => Ok(answer),
            _ => Err(anyhow!("a participant has ended without an answer")),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.input = None;
        // It has nobody to answer any more.
        let _ = self.child.wait();
    }
}

/// `cat`, which sends back what it gets.
struct PingPong {
    child: Child,
    socket: Option<UnixStream>,
}

impl PingPong {
    fn start() -> Result<Self> {
        let start = || {
            let (ours, theirs) = UnixStream::pair()?;
            let output = theirs.try_clone()?;
            let mut cat = Command::new("cat");
            cat.stdin(OwnedFd::from(theirs)).stdout(OwnedFd::from(output));
            Ok::<_, std::io::Error>(PingPong { child: cat.spawn()?, socket: Some(ours) })
        };
        start().map_err(|error| anyhow!("cannot start cat: {error}"))
    }

    fn round_trip(&mut self) -> Result<f64> {
        let socket = self.socket.as_mut().ok_or_else(|| anyhow!("no socket"))?;
        let mut bytes = [7; 16];
        seconds_each(|| socket.write_all(&bytes).and_then(|()| socket.read_exact(&mut bytes)))
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.child.wait();
    }
}

/// A process's children, and theirs (proc(5)).
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<u32> = children
        .flat_map(|pids| {
            pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    pids.iter().copied().chain(pids.iter().flat_map(|&pid| descendants(pid))).collect()
}

/// Bytes of a process, with its share of what it has in common with others (Pss, proc(5)).
pub(crate) fn memory(pid: u32) -> f64 {
    crate::machine::bytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or(0.0)
}
