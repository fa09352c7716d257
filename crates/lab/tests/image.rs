//! The image for Binder, a devcontainer and Docker: one script, and files that call it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCRIPT: &str = ".binder/install.sh";
const DOCKERFILE: &str = ".binder/Dockerfile";
const DEVCONTAINER: &str = ".devcontainer/devcontainer.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the script says where it is called in a way that it does not know: it does nothing else then.
fn usage(arguments: &[&str]) -> String {
    let output = Command::new(root().join(SCRIPT)).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    said
}

#[test]
fn the_script_is_one_that_bash_and_shellcheck_understand() {
    let check = |program: &str, arguments: &[&str]| -> Option<Output> {
        Command::new(program).args(arguments).arg(root().join(SCRIPT)).output().ok()
    };
    let bash = check("bash", &["-n"]).expect("there is a bash");
    // People need not have the other one.
    for output in [bash].into_iter().chain(check("shellcheck", &[])) {
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn each_step_that_is_called_is_one_that_the_script_has() {
    let dockerfile = read(DOCKERFILE);
    let called = |text: &str| -> Vec<String> {
        let calls = text.lines().filter(|line| line.contains("RUN ") || line.contains("Command"));
        let steps = calls.filter_map(|call| call.split("install.sh ").nth(1));
        steps.map(|step| step.split([' ', '"']).next().unwrap_or_default().to_owned()).collect()
    };
    let of_image = called(&dockerfile);
    assert_eq!(of_image, ["system", "kernel", "lessons"]);
    assert_eq!(called(&read(DEVCONTAINER)), ["lessons"]);
    let usage = usage(&[]);
    for step in of_image {
        assert!(usage.split([' ', '\n']).any(|word| word == step), "{step}: {usage}");
    }
}

#[test]
fn a_call_that_the_script_does_not_know_does_nothing() {
    for arguments in [&["sytsem"][..], &["system"], &["kernel", "more"], &["lessons", "more"]] {
        assert!(usage(arguments).starts_with("usage: install.sh "), "{arguments:?}");
    }
}

#[test]
fn all_three_have_the_one_image() {
    assert!(read(DEVCONTAINER).contains(r#""dockerfile": "../.binder/Dockerfile""#));
    // Binder passes over what stands in the root once it has found this folder, and reads there
    // nothing beside a Dockerfile.
    assert!(root().join(DOCKERFILE).is_file() && !root().join("Dockerfile").exists());
    assert!(read("README.md").contains(&format!("docker build --file {DOCKERFILE} ")));
}

#[test]
fn kernel_and_compiler_are_those_of_the_stored_outputs() {
    let after = |text: &str, what: &str| -> String {
        let rest = text.split(what).nth(1).unwrap_or_else(|| panic!("no {what} in {text}"));
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
    };
    let kernel = after(&read(SCRIPT), "\nevcxr=");
    assert_eq!(kernel, after(&read("crates/lab/src/kernel.rs"), "VERSION: &str = \""));
    let readme = read("README.md");
    let licence = readme.split("## Licence").nth(1).unwrap();
    assert!(kernel.starts_with(&after(licence, "evcxr_jupyter ")), "{kernel}");
    assert_eq!(after(&read(DOCKERFILE), "\nFROM rust:"), after(licence, "Rust "));
}
