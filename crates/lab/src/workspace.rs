//! Where things are in the workspace.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};

/// Where a Python script of this crate is, by its path below `src`. One that has moved breaks the
/// build, not the run.
macro_rules! script {
    ($workspace:expr, $path:literal) => {{
        const _: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/", $path));
        $workspace.root().join(concat!("crates/lab/src/", $path))
    }};
}
pub(crate) use script;

/// The folder that holds Cargo.toml, environment.yml and the notebooks.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the workspace of this crate: `cargo run` says where it is now, the build where it was.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.ancestors().nth(2).map(Path::to_owned);
        match root {
            Some(root) if root.join("environment.yml").is_file() => Ok(Self { root }),
            _ => Err(Problem::new(format!(
                "no environment.yml two folders above {}: call `cargo lab` inside the repository",
                manifest_dir.display()
            ))),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The one list of packages.
    pub(crate) fn environment_yml(&self) -> PathBuf {
        self.root.join("environment.yml")
    }

    /// A place for what `cargo lab` makes; all of it may be deleted at any time.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.root.join(".lab").join(name)
    }

    /// Every notebook, in reading order.
    pub(crate) fn notebooks(&self) -> Vec<PathBuf> {
        let mut notebooks: Vec<_> = fs::read_dir(self.root.join("notebooks"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "ipynb"))
            .collect();
        notebooks.sort();
        notebooks
    }
}

/// Writes a file of ours, and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written = match path.parent() {
        Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(path, text)),
        None => fs::write(path, text),
    };
    written.map_err(|error| Problem::new(format!("cannot write {}: {error}", path.display())))
}
