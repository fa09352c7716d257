//! The stage that checks and links for macOS, where what it needs is not to be had.

use std::fs;

use crate::machine::{Call, Machine};

/// The stage's last words here, and where changes are accepted.
fn last_words(machine: &Machine) -> [String; 2] {
    ["", "true"].map(|ci| {
        let call = Call::of(machine.command(&["test", "mac"]).env("CI", ci));
        assert_eq!(call.succeeded, ci.is_empty(), "{}", call.stderr);
        // Nothing that it could not do is passed over in silence.
        assert_eq!(call.stderr.contains("\n== mac FAILED\n"), !ci.is_empty(), "{}", call.stderr);
        call.stderr.lines().last().unwrap().to_owned()
    })
}

#[test]
fn without_a_network_it_is_skipped_aloud_and_in_ci_it_fails() {
    let machine = Machine::fresh("mac-offline");
    machine.program("bin/python3", r#"case "$*" in *"pip download"*) exit 1 ;; esac"#);
    let [here, in_ci] = last_words(&machine);
    let skipped = "cargo lab test: SKIPPED: mac: ziglang==";
    assert!(here.starts_with(skipped) && here.contains("`pip download`"), "{here}");
    assert_eq!(in_ci, "cargo lab test: FAILED: mac");
    let calls = fs::read_to_string(machine.path("calls")).unwrap();
    assert!(calls.contains("pip download") && !calls.contains("clippy"), "{calls}");
}

#[test]
fn without_a_standard_library_for_macos_it_is_skipped_aloud_and_in_ci_it_fails() {
    let machine = Machine::fresh("mac-no-std");
    machine.program("bin/rustc", r#"echo "$ROOT/nothing""#);
    let [here, in_ci] = last_words(&machine);
    let skipped =
        "cargo lab test: SKIPPED: mac: there is no standard library for aarch64-apple-darwin";
    assert!(here.starts_with(skipped), "{here}");
    assert_eq!(in_ci, "cargo lab test: FAILED: mac");
}
