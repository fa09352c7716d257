//! The workflows' shell steps, as far as they can run here: each runs in the shell that it will have, with
//! cargo and rustup played by programs that note what they are asked for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each step asks of cargo and rustup; what that does, other tests show. A new step needs a line here.
const STEPS: [(&str, &str); 4] = [
    ("What this is", ""),
    ("Sources of std, for a cell's `let`", "rustup component add rust-src\n"),
    ("The crate's tests", "cargo test --package joblab --no-fail-fast\n"),
    (
        "Lessons 00 to 05",
        "cargo lab run notebooks/00-index.ipynb notebooks/01-thread-pool.ipynb \
         notebooks/02-holding-the-gil.ipynb notebooks/03-process-pool.ipynb \
         notebooks/04-summary.ipynb notebooks/05-sharing-data.ipynb\n",
    ),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The steps that have a script, each with its name, as far as YAML is used there.
fn steps(workflow: &str) -> Vec<(String, String)> {
    let mut lines = workflow.lines().peekable();
    let (mut name, mut steps) = (String::new(), Vec::new());
    while let Some(line) = lines.next() {
        let key = line.trim_start().trim_start_matches("- ");
        if let Some(of_step) = key.strip_prefix("name: ") {
            name = of_step.to_owned();
        }
        let Some(script) = key.strip_prefix("run: ") else { continue };
        let indent = line.find("run: ").unwrap();
        let is_in_it = |line: &&str| line.trim().is_empty() || line[..=indent].trim().is_empty();
        let script = match script {
            "|" => std::iter::from_fn(|| lines.next_if(is_in_it)).map(str::trim_start).collect(),
            _ => vec![script],
        };
        steps.push((std::mem::take(&mut name), script.join("\n")));
    }
    steps
}

#[test]
fn each_step_runs_and_asks_for_what_it_should() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workflows");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for program in ["cargo", "rustup"] {
        let path = folder.join(program);
        let note =
            format!("#!/bin/sh\necho \"{program} $*\" >>\"{}\"\n", folder.join("calls").display());
        fs::write(&path, note).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut names = Vec::new();
    for file in fs::read_dir(workspace().join(".github/workflows")).unwrap() {
        let workflow = fs::read_to_string(file.unwrap().path()).unwrap();
        assert_eq!(workflow.matches("run: ").count(), steps(&workflow).len());
        assert!(workflow.contains("shell: bash"), "the same shell everywhere");
        for (name, script) in steps(&workflow) {
            let _ = fs::remove_file(folder.join("calls"));
            let step = folder.join("step.sh");
            fs::write(&step, &script).unwrap();
            // As the service calls a step whose shell is bash.
            let output = Command::new("bash")
                .args(["--noprofile", "--norc", "-eo", "pipefail"])
                .arg(&step)
                .current_dir(workspace())
                .env("PATH", &path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {script}: {output:?}");
            let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
            assert!(STEPS.contains(&(&*name, &*calls)), "{name}: {script}: {calls:?}");
            names.push(name);
        }
    }
    assert_eq!(names, STEPS.map(|(name, _)| name));
}

#[test]
fn steps_are_read_as_they_stand() {
    let workflow = "steps:\n  - uses: it\n  - name: One\n    run: a b\n  - name: Two\n    run: |\n      c\n\n      d 'e'\n  - run: f\n";
    let expected = [("One", "a b"), ("Two", "c\n\nd 'e'"), ("", "f")];
    assert_eq!(
        steps(workflow),
        expected.map(|(name, script)| (name.to_owned(), script.to_owned()))
    );
}
