//! What the notebooks depend on is built before a kernel starts, and anew when that has changed.

use std::fs;

use crate::machine::{Call, Machine};

const DEPENDENCY: &str = r#"{"source": [
    ":dep joblab = { path = \"../crates/joblab\" }\n",
"#;

/// A machine with a notebook that has a `:dep` line, and the crate.
fn machine(name: &str) -> Machine {
    let machine = Machine::fresh(name);
    machine.write("notebooks/01-first.ipynb", DEPENDENCY);
    machine.write("versions", "rayon 1.10");
    fs::create_dir_all(machine.path("crates/joblab/src")).unwrap();
    machine.write("crates/joblab/src/lib.rs", "");
    machine
}

/// Whether a call builds, and why by its own words.
fn builds(machine: &Machine) -> Option<String> {
    machine.write("calls", "");
    let call = machine.lab(&[]);
    assert!(call.succeeded, "{}", call.stderr);
    let calls = fs::read_to_string(machine.path("calls")).unwrap();
    let said = call.stderr.lines().find_map(|line| line.split_once("building the "));
    assert_eq!(said.is_some(), calls.contains("kernel/build.py"), "{calls}{}", call.stderr);
    said.map(|(_, why)| why.to_owned())
}

#[test]
fn crates_are_built_once_and_again_when_something_has_changed() {
    let machine = machine("built-once");
    assert!(builds(&machine).is_some());
    assert_eq!(builds(&machine), None);
    let anew = |what: &str| Some(format!("crates anew: {what} changed"));
    machine.write("crates/joblab/src/lib.rs", "// Changed.");
    assert_eq!(builds(&machine), anew("the crate"));
    machine.write("versions", "rayon 1.11");
    assert_eq!(builds(&machine), anew("crates of the registry"));
    machine.program("bin/rustc", r#"[ "$1" = --print ] && echo "$ROOT/sysroot" || echo "rustc 2""#);
    assert_eq!(builds(&machine), anew("the compiler"));
    machine.program("cargo-home/bin/evcxr_jupyter", "exit 0 # A newer one.");
    assert_eq!(builds(&machine), anew("evcxr"));
    machine.write("notebooks/02-second.ipynb", r#"":dep rayon = \"1\"""#);
    assert_eq!(builds(&machine), anew("the notebooks' `:dep` lines"));
    let mut command = machine.command(&[]);
    let call = Call::of(command.env("CARGO_PROFILE_DEV_LTO", "thin"));
    assert!(call.stderr.contains("anew: settings changed"), "{}", call.stderr);
    machine.lab(&[]);
    assert_eq!(builds(&machine), None);
}

#[test]
fn a_crate_that_does_not_build_is_no_reason_not_to_open_it() {
    let machine = machine("built-not");
    machine.write("broken-crate", "");
    let call = machine.lab(&[]);
    assert!(call.succeeded && machine.path("opened").exists());
    assert!(call.stderr.contains("warning: the crates could not be built"), "{}", call.stderr);
    machine.remove("broken-crate");
    assert!(builds(&machine).is_some());
}

#[test]
fn without_a_network_kernels_do_not_ask_the_registry() {
    let machine = machine("offline");
    let offline = || fs::read_to_string(machine.path("offline")).unwrap();
    machine.works();
    assert_eq!(offline(), "\n");
    machine.write("no-network", "");
    let call = machine.lab(&[]);
    assert!(call.stderr.contains("cargo's registry does not answer"), "{}", call.stderr);
    assert_eq!(offline(), "true\n");
    assert_eq!(builds(&machine), None);
    // Neither there nor here.
    machine.remove("versions");
    let call = machine.lab(&[]);
    assert!(call.succeeded && call.stderr.contains("finds no versions"), "{}", call.stderr);
    assert_eq!(offline(), "\n");
}
