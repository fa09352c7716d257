//! Counts the words in all files of a folder: each file is a task, and the first that cannot be read as text
//! ends the call with an error that tells which one it was.
//!
//! `cargo run --release --package joblab --example words -- FOLDER` (without it: the current folder)

use std::collections::HashMap;
use std::path::PathBuf;
use std::{env, fs, io};

use joblab::{Error, Parallel};

type Counts = HashMap<String, usize>;

/// How often each word is in a file. An error of the system cannot travel, but its text can.
fn count(path: PathBuf) -> Result<Counts, String> {
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut counts = Counts::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|it| !it.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    Ok(counts)
}

fn files(folder: &str) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file());
    Ok(paths)
}

fn main() -> Result<(), Error> {
    let folder = env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let files = files(&folder).map_err(|error| Error::other(format!("{folder}: {error}")))?;
    let run = Parallel::new(-1).try_map(count, files)?;

    let mut total = Counts::new();
    for (word, n) in run.results.iter().flatten() {
        *total.entry(word.clone()).or_default() += n;
    }
    let mut words: Vec<_> = total.into_iter().collect();
    // The most frequent first, and equally frequent ones by name.
    words.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    println!("{} files, {} words that differ", run.results.len(), words.len());
    for (word, n) in words.iter().take(5) {
        println!("{n:>7}  {word}");
    }
    eprintln!("{}", run.timing);
    Ok(())
}
