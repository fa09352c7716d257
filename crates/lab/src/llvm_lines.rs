//! `cargo lab test llvm-lines`: how much code a notebook's cell has to compile for one call.
//!
//! Whatever is generic over the types of a call is compiled anew in each cell. The lines of LLVM IR,
//! before any pass, say how much that is, and say the same on every machine.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::problem::{Problem, Result};
use crate::program;
use crate::workspace::Workspace;

/// What a cell says.
const CALL: &str = "pub fn call() -> Vec<u64> {
    joblab::Parallel::new(2).map(|n: u64| n + 1, [1, 2, 3]).unwrap().results
}";
const MOST_LINES: usize = 12_000;
/// As evcxr builds a cell, but in one unit: how code is split says nothing of how much there is.
const OPTIONS: &[&str] = &[
    "--edition=2024",
    "--crate-type=lib",
    "--crate-name=cell",
    "-Copt-level=2",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "-Cprefer-dynamic",
    "-Ccodegen-units=1",
    "-Cno-prepopulate-passes",
    "--emit=llvm-ir",
];
/// So many crates and so many functions are named.
const NAMED: usize = 12;

/// Compiles the call. Its size is handed back, or is the problem if it is too large.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let library = library(workspace)?;
    let folder = library.parent().unwrap_or(Path::new("."));
    let code = folder.join("llvm-lines.ll");
    compile(&library, folder, &code)?;
    let text = fs::read_to_string(&code)
        .map_err(|error| Problem::new(format!("cannot read {}: {error}", code.display())))?;
    let counted = Counted::of(&text);
    let size = format!(
        "a call of Parallel::map takes {} lines of LLVM IR, {} functions; at most {MOST_LINES} lines \
         are wanted ({})",
        counted.lines,
        counted.functions,
        code.display()
    );
    if counted.lines <= MOST_LINES {
        return Ok(vec![size]);
    }
    Err(Problem::new(format!("{size}\n{}", counted.largest())))
}

/// Builds the crate as a notebook does, and says where it is.
fn library(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = program::cargo();
    cargo.args(["build", "--package", "joblab", "--message-format=json-render-diagnostics"]);
    // evcxr has it so, and functions of a crate that is built so are not inlined before a cell
    // compiles them.
    cargo.env("CARGO_INCREMENTAL", "1");
    let built = cargo.current_dir(workspace.root()).stderr(Stdio::inherit()).output();
    let built = built.map_err(|error| Problem::new(format!("cannot run cargo: {error}")))?;
    if !built.status.success() {
        return Err(Problem::new("joblab cannot be built; cargo's words are above"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let library = library_in(&messages);
    library.ok_or_else(|| Problem::new("cargo does not say where it has built joblab"))
}

/// Finds the library in cargo's messages, which are JSON.
fn library_in(messages: &str) -> Option<PathBuf> {
    const NAME: &str = "libjoblab.rlib";
    let (before, _) = messages.split_once(&format!("{NAME}\""))?;
    let (_, folder) = before.rsplit_once('"')?;
    Some(Path::new(folder).join(NAME))
}

fn compile(library: &Path, folder: &Path, code: &Path) -> Result<()> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(OPTIONS).arg("-o").arg(code);
    rustc.arg("--extern").arg(format!("joblab={}", library.display()));
    rustc.arg("-L").arg(format!("dependency={}", folder.join("deps").display()));
    let mut compile = || {
        let mut child = rustc.arg("-").stdin(Stdio::piped()).spawn()?;
        if let Some(mut source) = child.stdin.take() {
            source.write_all(CALL.as_bytes())?;
        }
        child.wait()
    };
    match compile() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Problem::new("the call does not compile; rustc's words are above")),
        Err(error) => Err(Problem::new(format!("cannot run rustc: {error}"))),
    }
}

/// What a file of LLVM IR consists of.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    lines: usize,
    functions: usize,
    /// The lines of each function in all its copies, and how many these are.
    by_name: BTreeMap<String, (usize, usize)>,
}

impl Counted {
    fn of(text: &str) -> Self {
        let mut counted = Self { lines: 0, functions: 0, by_name: BTreeMap::new() };
        let (mut comment, mut function) = ("", None);
        for line in text.lines() {
            counted.lines += 1;
            if line.starts_with("define ") {
                counted.functions += 1;
                // rustc writes the function's path above it, unless it has a plain name.
                let symbol = line.split(['@', '(']).nth(1).unwrap_or_default();
                let path = if comment.is_empty() { symbol } else { comment };
                let entry = counted.by_name.entry(without_arguments(path)).or_default();
                entry.1 += 1;
                function = Some(entry);
            }
            match (&mut function, line.strip_prefix("; ")) {
                (Some(entry), _) => entry.0 += 1,
                (None, Some(said)) if !said.starts_with("Function Attrs") => comment = said,
                (None, Some(_)) => {}
                (None, None) => comment = "",
            }
            if line == "}" {
                (function, comment) = (None, "");
            }
        }
        counted
    }

    /// The crates and the functions that take most, a line for each.
    fn largest(&self) -> String {
        let mut crates: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (name, (lines, copies)) in &self.by_name {
            let all = crates.entry(crate_of(name)).or_default();
            *all = (all.0 + lines, all.1 + copies);
        }
        let mut text = String::from("   lines  copies  crate or function\n");
        let functions = self.by_name.iter().map(|(name, it)| (name.as_str(), *it));
        for mut all in [crates.into_iter().collect::<Vec<_>>(), functions.collect()] {
            all.sort_by_key(|(name, (lines, _))| (std::cmp::Reverse(*lines), *name));
            for (name, (lines, copies)) in all.into_iter().take(NAMED) {
                let _ = writeln!(text, "{lines:>8}  {copies:>6}  {name}");
            }
        }
        text.trim_end().to_owned()
    }
}

/// The crate in which a function is written: `<alloc::vec::Vec>::push` is alloc's, and of
/// `<T as core::convert::Into>::into` the trait says it.
fn crate_of(name: &str) -> &str {
    let is_in_path = |it: char| it == ':' || is_in_name(it);
    let mut paths = name.split(|it| !is_in_path(it)).filter_map(|path| path.split_once("::"));
    paths.find(|(first, _)| !first.is_empty()).map_or(name, |(first, _)| first)
}

/// A function's path without the types that it is compiled for.
fn without_arguments(path: &str) -> String {
    let (mut short, mut depth, mut before) = (String::new(), 0_usize, ' ');
    for it in path.chars() {
        // Behind a name it opens arguments; elsewhere a type, whose own arguments go.
        let opens =
            it == '<' && (depth > 0 || short.ends_with(|it: char| it == ':' || is_in_name(it)));
        // The end of an arrow closes nothing.
        let closes = it == '>' && before != '-' && depth > 0;
        if opens {
            depth += 1;
            short.truncate(short.trim_end_matches("::").len());
        } else if closes {
            depth -= 1;
        } else if depth == 0 {
            short.push(it);
        }
        before = it;
    }
    short
}

fn is_in_name(it: char) -> bool {
    it == '_' || it.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "source_filename = \"cell\"

; alloc::vec::from_elem::<u64>
; Function Attrs: uwtable
define internal void @one(ptr %0) {
start:
  ret void
}

; alloc::vec::from_elem::<u8>
define void @two() {
}

; <joblab::Run<u64> as core::ops::drop::Drop>::drop
define void @three() {
}

define i32 @main(i32 %0) {
}
declare void @four()
";

    #[test]
    fn lines_are_counted_for_each_function() {
        let counted = Counted::of(CODE);
        assert_eq!((counted.lines, counted.functions), (CODE.lines().count(), 4));
        let named = |name: &str| counted.by_name[name];
        assert_eq!(named("alloc::vec::from_elem"), (6, 2));
        assert_eq!(named("<joblab::Run as core::ops::drop::Drop>::drop"), (2, 1));
        assert_eq!(named("main"), (2, 1));
    }

    #[test]
    fn the_largest_come_first() {
        let largest = Counted::of(CODE).largest();
        let rows: Vec<_> = largest.lines().skip(1).map(str::trim).collect();
        assert_eq!(rows[..2], ["6       2  alloc", "2       1  joblab"]);
        assert_eq!(rows[3], "6       2  alloc::vec::from_elem");
    }

    #[test]
    fn a_function_is_one_whatever_it_is_compiled_for() {
        for (path, short) in [
            ("a::f::<B<C>, D>", "a::f"),
            ("<a::B<C>>::f::<fn(C) -> D>", "<a::B>::f"),
            ("<a::B<C> as d::E<F>>::g::{closure#0}", "<a::B as d::E>::g::{closure#0}"),
            ("a::f::<B>::{closure#1}::<C>", "a::f::{closure#1}"),
            ("<fn(A) -> B as c::D>::e", "<fn(A) -> B as c::D>::e"),
        ] {
            assert_eq!(without_arguments(path), short);
        }
    }

    #[test]
    fn a_function_belongs_to_the_crate_of_its_path() {
        assert_eq!(crate_of("a_b::c::d"), "a_b");
        assert_eq!(crate_of("<&mut [a::B] as c::D>::e"), "a");
        assert_eq!(crate_of("<T as c::D>::e"), "c");
        assert_eq!(crate_of("main"), "main");
    }

    #[test]
    fn the_library_is_found_in_cargos_messages() {
        let messages = r#"{"filenames":["/a/libserde.rlib","/a b/libserde.rmeta"]}
            {"filenames":["/a b/debug/libjoblab.rlib","/a b/debug/deps/libjoblab-1.rmeta"]}"#;
        assert_eq!(library_in(messages), Some("/a b/debug/libjoblab.rlib".into()));
        assert_eq!(library_in("{}"), None);
    }
}
