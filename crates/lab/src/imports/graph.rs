//! Which file of a crate imports which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::paths::{self, Named, Source};
use crate::problem::{Problem, Result};

/// A module's place below the crate's root; the root's is empty.
type Module = Vec<String>;

/// The files of a crate, by their names below its `src`.
#[derive(Debug, Default)]
pub(super) struct Crate {
    /// For each file, those that it imports. lib.rs, which imports all, is not among them.
    pub(super) imports: BTreeMap<String, BTreeSet<String>>,
    /// For each file, the names that it takes from lib.rs.
    pub(super) through_lib: BTreeMap<String, BTreeSet<String>>,
    /// How many modules stand at its root.
    pub(super) rooms: usize,
    /// The files that ask which system it is, but those of `os`.
    pub(super) of_a_system: Vec<String>,
}

struct File {
    name: String,
    source: Source,
    is_of_a_system: bool,
}

impl Crate {
    /// Reads all files below that folder.
    pub(super) fn read(src: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(src, &[], &mut files)
            .map_err(|error| Problem::new(format!("cannot read {}: {error}", src.display())))?;
        let Some(lib) = files.remove(&[][..]) else {
            return Err(Problem::new(format!("there is no lib.rs in {}", src.display())));
        };
        let exports: BTreeMap<&str, &[String]> = lib
            .source
            .paths
            .iter()
            .filter_map(|path| Some((path.exported_as.as_deref()?, &path.segments[..])))
            .collect();
        let rooms = files.keys().filter(|module| module.len() == 1).count();
        let mut found = Self { rooms, ..Self::default() };
        let of_a_system = files.iter().filter(|(module, file)| {
            file.is_of_a_system && module.first().is_none_or(|room| room != "os")
        });
        found.of_a_system = of_a_system.map(|(_, file)| file.name.clone()).collect();
        for (module, file) in &files {
            if is_for_tests(module, &lib, &files) {
                continue;
            }
            for path in &file.source.paths {
                found.note(module, file, path, &files, &exports);
            }
        }
        Ok(found)
    }

    /// Notes what a path of a file imports.
    fn note(
        &mut self,
        module: &Module,
        file: &File,
        path: &Named,
        files: &BTreeMap<Module, File>,
        exports: &BTreeMap<&str, &[String]>,
    ) {
        let here = [&module[..], &path.inside[..]].concat();
        let Some(mut target) = absolute(&here, &path.segments, files) else {
            return;
        };
        if deepest(&target, files).is_none() {
            let name = target.first().map_or("*", String::as_str).to_owned();
            // lib.rs only passes it on.
            let exported = exports.get(name.as_str());
            target = exported.and_then(|path| absolute(&[], path, files)).unwrap_or_default();
            self.through_lib.entry(file.name.clone()).or_default().insert(name);
        }
        if let Some(imported) = deepest(&target, files)
            && imported.name != file.name
        {
            self.imports.entry(file.name.clone()).or_default().insert(imported.name.clone());
        }
    }
}

/// A path from the crate's root, for one that names something of this crate.
fn absolute(here: &[String], path: &[String], files: &BTreeMap<Module, File>) -> Option<Module> {
    let mut base = here.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {}
        child => {
            // A child of this module; else another crate, or something that is here already.
            base.push(child.to_owned());
            files.get(&base)?;
            base.pop();
        }
    }
    while let Some("super") = rest.first().map(String::as_str) {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The deepest file that a path from the root names.
fn deepest<'a>(path: &[String], files: &'a BTreeMap<Module, File>) -> Option<&'a File> {
    let lengths = 1..=path.len();
    lengths.map_while(|length| files.get(&path[..length])).last()
}

/// Whether a module, or one above it, is declared for tests only.
fn is_for_tests(module: &Module, lib: &File, files: &BTreeMap<Module, File>) -> bool {
    (0..module.len()).any(|length| {
        let parent = if length == 0 { Some(lib) } else { files.get(&module[..length]) };
        parent.is_some_and(|parent| parent.source.test_modules.contains(&module[length]))
    })
}

fn read_folder(
    folder: &Path,
    module: &[String],
    files: &mut BTreeMap<Module, File>,
) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_root = matches!(stem.as_str(), "mod") || (module.is_empty() && stem == "lib");
        let mut inner = module.to_vec();
        if !is_root {
            inner.push(stem.clone());
        }
        if path.is_dir() {
            read_folder(&path, &inner, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = [module, &[format!("{stem}.rs")]].concat().join("/");
            let text = fs::read_to_string(&path)?;
            let is_of_a_system = text.contains("target_os");
            files.insert(inner, File { name, source: paths::read(&text), is_of_a_system });
        }
    }
    Ok(())
}
