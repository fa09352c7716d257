"""A notebook as students write it, in a folder of its own: what goes wrong, what the kernel then says,
and what its words lead to.

    students.py JOBLAB (mistakes | readme)

Each check prints one line with what it saw; the exit status says whether all passed.
"""

import re
import sys
import tempfile
from pathlib import Path

from client import Kernel

FAILED = []
# What the compiler says where joblab cannot put in a word: the crate's README tells what to do.
IN_README = [
    "expected fn pointer, found closure",
    "incorrect number of function parameters",
    "`OwnsItsData` is not general enough",
]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# What is wrong; the cell; words of the answer; the cell that they lead to; what that prints. The cells
# run in one kernel, one after the other: what fails must not harm what comes after.
MISTAKES = [
    ("a pool of no workers",
     "let pool = Parallel::new(0);\npool.map(|n: u64| n, 0..3)?;",
     ["n_jobs = 0 has no meaning", "-1 for as many as there are CPUs"],
     "let pool = Parallel::new(-1).backend(Backend::Multiprocessing);\n"
     "println!(\"{:?}\", pool.map(|n: u64| n * n, 0..3)?.results);", "[0, 1, 4]"),
    ("workers by halves",
     "let half = Parallel::new(0.5);",
     ["expected `i32`, found floating-point number"],
     "let half = Parallel::new(1);\nprintln!(\"{}\", half.map(|n: u64| n, 0..3)?.n_workers);", "1"),
    ("a backend by its name in Python",
     "let named = Parallel::new(2).backend(\"multiprocessing\");",
     ["expected `Backend`, found `&str`"],
     "let named = Parallel::new(2).backend(\"multiprocessing\".parse::<Backend>()?);\n"
     "println!(\"{:?}\", named.map(|n: u64| n, 0..3)?.results);", "[0, 1, 2]"),
    ("a typo",
     "println!(\"{:?}\", pol.map(|n: u64| n, 0..3)?.results);",
     ["cannot find value `pol`", "a local variable with a similar name exists: `pool`"],
     "println!(\"{:?}\", pool.map(|n: u64| n, 0..3)?.results);", "[0, 1, 2]"),
    ("a method that is none",
     "println!(\"{:?}\", pool.maps(|n: u64| n, 0..3)?.results);",
     ["no method named `maps`", "there is a method `map` with a similar name"],
     "println!(\"{:?}\", pool.map(|n: u64| n + 1, 0..3)?.results);", "[1, 2, 3]"),
    ("a missing import",
     "let counts: HashMap<String, u64> = HashMap::new();",
     ["consider importing this struct: `use std::collections::HashMap;"],
     "use std::collections::HashMap;\n"
     "fn total(counts: HashMap<String, u64>) -> u64 { counts.values().sum() }\n"
     "println!(\"{:?}\", pool.map(total, [HashMap::from([(\"a\".to_string(), 2)])])?.results);", "[2]"),
    ("a forgotten `?`",
     "println!(\"{:?}\", pool.map(|n: u64| n, 0..3).results);",
     ["no field `results` on type `Result<", "unwrap()."],
     "println!(\"{:?}\", pool.map(|n: u64| 2 * n, 0..3)?.results);", "[0, 2, 4]"),
    ("a function that was called",
     "println!(\"{:?}\", pool.map(wait_loop_nogil(9), [9])?.results);",
     ["expected fn pointer, found `f64`"],
     "println!(\"{:?}\", pool.map(wait_loop_nogil, [0])?.results);", "[0.0]"),
    ("a function of two arguments",
     "fn power(base: u64, exponent: u32) -> u64 { base.pow(exponent) }\n"
     "println!(\"{:?}\", pool.map(power, [(2, 3)])?.results);",
     ["incorrect number of function parameters"],
     "fn power((base, exponent): (u64, u32)) -> u64 { base.pow(exponent) }\n"
     "println!(\"{:?}\", pool.map(power, [(2, 3)])?.results);", "[8]"),
    ("a closure that captures",
     "let factor = 3;\nprintln!(\"{:?}\", pool.map(|n: u64| n * factor, 0..3)?.results);",
     ["expected fn pointer, found closure", "`factor` captured here"],
     "let factor = 3;\nprintln!(\"{:?} {:?}\",\n"
     "    pool.map(|(n, factor): (u64, u64)| n * factor, (0..3).map(|n| (n, factor)))?.results,\n"
     "    threads.map(|n: u64| n * factor, 0..3)?.results);", "[0, 3, 6] [0, 3, 6]"),
    ("an argument that is a reference",
     "fn length(word: &str) -> usize { word.len() }\n"
     "println!(\"{:?}\", pool.map(length, [\"a\", \"bc\"])?.results);",
     ["OwnsItsData` is not general enough"],
     "fn length(word: String) -> usize { word.len() }\n"
     "println!(\"{:?}\", pool.map(length, [\"a\", \"bc\"].map(String::from))?.results);", "[1, 2]"),
    ("a struct that serde does not know",
     "struct Point { x: f64, y: f64 }\n"
     "fn norm(p: Point) -> f64 { p.x.hypot(p.y) }\n"
     "println!(\"{:?}\", pool.map(norm, [Point { x: 3.0, y: 4.0 }])?.results);",
     ["`Point` cannot travel to a worker", "`#[derive(Serialize, Deserialize)]` on a type of your own"],
     "#[derive(Clone, Debug, Serialize, Deserialize)]\nstruct Point { x: f64, y: f64 }\n"
     "fn norm(p: Point) -> f64 { p.x.hypot(p.y) }\n"
     "println!(\"{:?}\", pool.map(norm, [Point { x: 3.0, y: 4.0 }])?.results);", "[5.0]"),
    ("a type with parameters",
     "#[derive(Serialize, Deserialize)]\nstruct Pair<T> { one: T, other: T }",
     ["joblab derives for types without parameters", "joblab::serde::Serialize"],
     "#[derive(joblab::serde::Serialize, joblab::serde::Deserialize)]\n"
     "#[serde(crate = \"joblab::serde\")]\nstruct Pair<T> { one: T, other: T }\n"
     "println!(\"{:?}\", pool.map(|p: Pair<u8>| p.one + p.other, [Pair { one: 1, other: 2 }])?.results);",
     "[3]"),
    ("a result with a library's error",
     "fn size(path: String) -> std::io::Result<u64> { Ok(std::fs::metadata(path)?.len()) }\n"
     "println!(\"{:?}\", pool.map(size, [\"/no\".to_string()])?.results);",
     ["`Result<u64, std::io::Error>` cannot travel to a worker", "`.to_string()`"],
     "fn size(path: String) -> Result<u64, String> {\n"
     "    Ok(std::fs::metadata(path).map_err(|error| error.to_string())?.len()) }\n"
     "println!(\"{:?}\", pool.map(size, [\"/no\".to_string()])?.results);",
     r'[Err("No such file or directory (os error 2)")]'),
    ("a lock to be shared with processes",
     "let sum = std::sync::Arc::new(std::sync::Mutex::new(0));\n"
     "pool.map(|sum: std::sync::Arc<std::sync::Mutex<u64>>| *sum.lock().unwrap() += 1, vec![sum; 3])?;",
     ["cannot travel to a worker", "`Parallel::sharedmem` needs none of this"],
     "let sum = std::sync::Mutex::new(0);\n"
     "threads.map(|n: u64| *sum.lock().unwrap() += n, 0..4)?;\n"
     "println!(\"{}\", sum.lock().unwrap());", "6"),
    ("a list that was moved",
     "let tasks: Vec<_> = (0..3).map(|n| delayed(|n: u64| n, n)).collect();\n"
     "pool.run(tasks)?;\nprintln!(\"{:?}\", pool.run(tasks)?.results);",
     ["use of moved value: `tasks`", "consider borrowing `tasks`"],
     "let tasks: Vec<_> = (0..3).map(|n| delayed(|n: u64| n, n)).collect();\n"
     "pool.run(&tasks)?;\nprintln!(\"{:?}\", pool.run(&tasks)?.results);", "[0, 1, 2]"),
    ("numbers of another type",
     "println!(\"{:?}\", pool.map(|n: u64| n, [1.5, 2.5])?.results);",
     ["mismatched types", "expected fn pointer, found closure"],
     "println!(\"{:?}\", pool.map(|n: f64| n, [1.5, 2.5])?.results);", "[1.5, 2.5]"),
    ("a panic",
     "println!(\"{:?}\", pool.map(|n: u64| 10 / n, 0..3)?.results);",
     ["task 0 panicked", "attempt to divide by zero", "The pool can be used again"],
     "println!(\"{:?}\", pool.map(|n: u64| 10u64.checked_div(n), 0..3)?.results);",
     "[None, Some(10), Some(5)]"),
    ("a panic on threads",
     "println!(\"{:?}\", threads.map(|n: usize| [1, 2][n], 0..3)?.results);",
     ["task 2 panicked", "index out of bounds: the len is 2 but the index is 2"],
     "println!(\"{:?}\", threads.map(|n: usize| [1, 2].get(n).copied(), 0..3)?.results);",
     "[Some(1), Some(2), None]"),
    ("a task that ends its process",
     "pool.map(|n: u64| if n == 1 { std::process::exit(3) }, 0..3)?;",
     ["worker process", "while it ran task 1"],
     "println!(\"{:?}\", pool.map(|n: u64| n, 0..3)?.results);", "[0, 1, 2]"),
    ("text that is no number",
     "println!(\"{:?}\", pool.map(|n: u64| n, [\"x\".parse::<u64>()?])?.results);",
     ["invalid digit found in string"],
     "println!(\"{:?}\", pool.map(|n: u64| n, [\"7\".parse::<u64>()?])?.results);", "[7]"),
    ("a crate that comes late",
     "use serde_json::json;",
     ["serde_json"],
     ":dep serde_json = \"1\"\nuse serde_json::json;\n"
     "println!(\"{} {:?}\", json!([1]), pool.map(|n: u64| n, 0..3)?.results);", "[1] [0, 1, 2]"),
]


def check(what, passed, seen):
    print(f"{'ok    ' if passed else 'FAILED'} {what}: {seen}", flush=True)
    if not passed:
        FAILED.append(what)


def mistakes(kernel):
    kernel.run(kernel.setup)
    kernel.run("let threads = Parallel::new(2).sharedmem();")
    for name, wrong, words, right, wanted in MISTAKES:
        told = lambda cell: all(word in COLOUR.sub("", cell.stderr) for word in words)
        cell = kernel.run(wrong).wait(told)
        said = COLOUR.sub("", cell.stderr)
        check(name, told(cell), next(iter(said.splitlines()), "nothing") if told(cell) else said)
        cell = kernel.run(right)
        said = cell.said().strip()
        check(f"{name}, mended", said == wanted, said or cell.stderr)
    readme = (Path(kernel.joblab) / "README.md").read_text(encoding="utf-8")
    for words in IN_README:
        check(f"README has: {words}", words in readme, "what to do")


def readme(kernel):
    """The cells that README shows for a notebook of one's own, in a folder that has nothing of ours."""
    text = (Path(kernel.joblab).parents[1] / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## In a notebook of your own\n")[2].partition("\n## ")[0]
    cells = re.findall(r"```rs\n(.*?)```", section, re.DOTALL)
    check("README's cells", len(cells) == 2, len(cells))
    for code, wanted in zip(cells, [r"\d+ CPUs", re.escape("[5.0]")]):
        cell = kernel.run(code.replace("/where/it/is/crates/joblab", kernel.joblab))
        said = cell.said().strip()
        check(code.splitlines()[-1], re.fullmatch(wanted, said), said or cell.stderr)


def main(joblab, scenario):
    with tempfile.TemporaryDirectory(prefix="joblab-test-") as folder:
        kernel = Kernel(joblab, Path(folder))
        try:
            {"mistakes": mistakes, "readme": readme}[scenario](kernel)
        finally:
            kernel.close()
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
