//! The browser test where there is no browser, and what it brings along where there is one.

use std::fs;

use crate::machine::{Call, Machine};

const SKIPPED: &str = "cargo lab test: SKIPPED: browser: no Chromium and no Chrome on PATH";

#[test]
fn without_a_browser_the_test_is_skipped_loudly() {
    let machine = Machine::fresh("no-browser");
    let call = machine.lab(&["test", "browser"]);
    let last = call.stderr.lines().last().unwrap();
    assert!(call.succeeded && last.starts_with(SKIPPED), "{}", call.stderr);
}

#[test]
fn without_a_browser_ci_fails() {
    let machine = Machine::fresh("no-browser-in-ci");
    let call = Call::of(machine.command(&["test", "browser"]).env("CI", "true"));
    let last = call.stderr.lines().last();
    assert_eq!(last, Some("cargo lab test: FAILED: browser"));
    assert!(!call.succeeded);
}

#[test]
fn only_the_browser_test_fetches_what_only_it_needs() {
    let machine = Machine::fresh("browser");
    machine.program("bin/chromium", "");
    machine.works();
    let packages = machine.path(".lab/test-python/packages.txt");
    assert!(!packages.exists());
    let calls = machine.calls_of(&["test", "browser"]);
    assert!(calls.contains("browser/check.py"), "{calls}");
    assert_eq!(fs::read_to_string(packages).unwrap(), "playwright>=1");
    // The readers' environment stays as it is.
    let own = machine.path(".lab/python/packages.txt");
    assert_eq!(fs::read_to_string(own).unwrap(), "jupyterlab>=4\nnbclient");
}

#[test]
fn what_is_only_read_needs_no_kernel() {
    let machine = Machine::fresh("pages");
    let calls = machine.calls_of(&["export", "out"]);
    assert!(calls.contains("notebooks/export.py out"), "{calls}");
    assert!(!machine.path(".lab/test-python").exists());
    let calls = machine.calls_of(&["test", "site"]);
    for script in ["notebooks/sources.py", "notebooks/export.py", "site/check.py"] {
        assert!(calls.contains(script), "{script} is missing: {calls}");
    }
    assert!(machine.path(".lab/test-python").exists() && !machine.path(".lab/kernel.txt").exists());
}

#[test]
fn a_wrong_stage_is_named_with_the_right_ones() {
    let machine = Machine::fresh("wrong-stage");
    let call = machine.lab(&["test", "notebook"]);
    let message = "error: `cargo lab test` has no stage notebook; it has format, imports, clippy, \
                   docs, llvm-lines, mac, package, msrv, semver, licences, portable, release, tests, \
                   site, notebooks, browser, costs";
    assert_eq!(call.stderr.trim_end(), message);
    assert!(!call.succeeded && !machine.path(".lab").exists());
}

#[test]
fn stages_that_look_at_sources_need_no_set_up() {
    let machine = Machine::fresh("sources");
    fs::create_dir_all(machine.path("crates/joblab/src")).unwrap();
    machine.write("crates/joblab/src/lib.rs", "mod a; mod b;");
    machine.write("crates/joblab/src/a.rs", "use crate::b::B;");
    machine.write("crates/joblab/src/b.rs", "");
    assert!(machine.lab(&["test", "imports", "format"]).succeeded);
    machine.write("crates/joblab/src/b.rs", "use crate::a::A;");
    let call = machine.lab(&["test", "imports"]);
    assert!(
        !call.succeeded && call.stderr.contains("circle: a.rs -> b.rs -> a.rs"),
        "{}",
        call.stderr
    );
    assert!(!machine.path(".lab").exists());
}
