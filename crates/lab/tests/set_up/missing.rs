//! Machines that lack something: what `cargo lab` says, and that the next call works once the fault
//! is gone.

use std::fs;

use crate::machine::{Call, Machine};

#[test]
fn a_fresh_machine_gets_everything_once() {
    let machine = Machine::fresh("fresh");
    let first = machine.calls_of(&[]);
    assert!(first.contains("bin/cargo install --locked"), "{first}");
    assert!(first.contains("environment-python -m pip"), "{first}");
    assert!(first.contains("evcxr_jupyter --install"), "{first}");
    assert!(!machine.path(".lab/build").exists(), "the build's folder only costs room");
    let second = machine.calls_of(&[]);
    for made in ["install", "venv", "pip"] {
        assert!(!second.contains(made), "{second}");
    }
}

#[test]
fn jupyterlab_gets_its_options_and_the_first_notebook() {
    let machine = Machine::fresh("options");
    assert!(machine.lab(&["--no-browser", "--port", "9999"]).succeeded);
    let root = machine.root.display();
    let expected = format!(
        "--ServerApp.root_dir {root} --MappingKernelManager.kernel_info_timeout=10 \
         --LabApp.default_url /lab/tree/notebooks/01-first.ipynb --no-browser --port 9999\n"
    );
    assert_eq!(fs::read_to_string(machine.path("opened")).unwrap(), expected);
}

#[test]
fn help_and_wrong_options_need_no_set_up() {
    let machine = Machine::fresh("help");
    let commands = ["", " run", " export", " test", " bench"].map(|it| format!("cargo lab{it} ["));
    for (arguments, told) in [
        (&["--help"][..], &commands[..]),
        (&["-h"], &commands),
        (&["help"], &commands),
        (&["--no-browser", "--help"], &commands),
        (&["run", "--help"], &commands[1..2]),
        (&["run", "some.ipynb", "-h"], &commands[1..2]),
        (&["help", "run"], &commands[1..2]),
        (&["export", "--help"], &commands[2..3]),
        (&["test", "--help"], &commands[3..4]),
        (&["bench", "--check", "--help"], &commands[4..]),
    ] {
        let call = machine.lab(arguments);
        assert!(call.succeeded, "{arguments:?}: {}", call.stderr);
        let found = commands.iter().filter(|command| call.stdout.contains(*command));
        assert!(found.eq(told), "{arguments:?}: {}", call.stdout);
    }
    for (arguments, why) in [
        (["run", "--twise"], "`cargo lab run` has no option --twise"),
        (["export", "--excercises"], "`cargo lab export` has no option --excercises"),
        (["test", "--twise"], "`cargo lab test` has no stage --twise"),
        (
            ["bench", "--chek"],
            "`cargo lab bench` has no option --chek; it has --check, --growth, --report, --pictures",
        ),
    ] {
        let call = machine.lab(&arguments);
        assert!(!call.succeeded && call.stderr.contains(why), "{}", call.stderr);
    }
    assert!(!machine.path(".lab").exists());
}

#[test]
fn root_is_told_what_to_pass_before_the_set_up() {
    let machine = Machine::fresh("root");
    machine.program("bin/id", "echo 0");
    machine.fails_with(
        "JupyterLab does not start for root unless it is told to: cargo lab --allow-root",
    );
    assert!(!machine.path(".lab").exists());
    for options in [["--allow-root"], ["--ServerApp.allow_root=True"], ["--version"]] {
        assert!(machine.lab(&options).succeeded, "{options:?}");
        let opened = fs::read_to_string(machine.path("opened")).unwrap();
        assert!(opened.trim_end().ends_with(options[0]), "{opened}");
    }
    // What opens no JupyterLab is for everybody.
    assert!(machine.lab(&["run", "notebooks/01-first.ipynb"]).succeeded);
    machine.program("bin/id", "echo 1000");
    machine.works();
}

#[test]
fn no_python() {
    let machine = Machine::fresh("no-python");
    machine.rename("bin/python3", "python3");
    machine.fails_with(
        "Python 3.9 or newer is needed, and none was found: install it \
         (Debian: sudo apt install python3-venv, macOS: brew install python), then call again",
    );
    // `python` does as well.
    machine.rename("python3", "bin/python");
    machine.works();
}

#[test]
fn a_python_that_is_too_old() {
    let machine = Machine::fresh("old-python");
    machine.rename("bin/python3", "bin/python");
    machine.program("bin/python3", "echo 3 8");
    // A newer one under the other name is taken; without it the old one is named.
    machine.works();
    fs::remove_dir_all(machine.path(".lab")).unwrap();
    machine.rename("bin/python", "python");
    machine.fails_with(
        "Python 3.9 or newer is needed, and ROOT/bin/python3 is 3.8: install it \
         (Debian: sudo apt install python3-venv, macOS: brew install python), then call again",
    );
    machine.rename("python", "bin/python3");
    machine.works();
}

#[test]
fn a_python_without_venv() {
    let machine = Machine::fresh("no-venv");
    machine.rename("bin/python3", "python3");
    machine.program(
        "bin/python3",
        r#"case "$*" in *ensurepip*) exit 1 ;; *) exec "$ROOT/python3" "$@" ;; esac"#,
    );
    machine.fails_with(
        "ROOT/bin/python3 has no venv module: install it \
         (Debian: sudo apt install python3-venv), then call again",
    );
    machine.rename("python3", "bin/python3");
    machine.works();
}

#[test]
fn no_network_for_pip() {
    let machine = Machine::fresh("no-network-pip");
    machine.write("no-network", "");
    machine.fails_with(
        "making the Python environment failed; its output is above. The network may be the \
         cause. Call again: it starts over from pip's cache.",
    );
    machine.remove("no-network");
    let call = machine.lab(&[]);
    assert!(call.succeeded && call.stderr.contains("unfinished"), "{}", call.stderr);
}

#[test]
fn no_network_for_cargo_keeps_what_was_built() {
    let machine = Machine::fresh("no-network-cargo");
    machine.works();
    fs::remove_dir_all(machine.path("cargo-home")).unwrap();
    machine.write("no-network", "");
    machine.fails_with(
        "installing evcxr_jupyter failed; its output is above. The network may be the cause, or \
         a compiler that is too old (`rustup update`). Call again: the build goes on where it \
         stopped.",
    );
    assert!(machine.path(".lab/build").is_dir());
    machine.remove("no-network");
    machine.works();
}

#[test]
fn no_linker() {
    let machine = Machine::fresh("no-linker");
    machine.remove("bin/cc");
    machine.fails_with(
        "no C linker was found (`cc`), and Rust needs one: install it (Debian: sudo apt install \
         build-essential, macOS: xcode-select --install), then call again",
    );
    // The linker that cargo is told to use counts.
    machine.program("bin/x-gcc", "");
    let linker = ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", "x-gcc");
    assert!(Call::of(machine.command(&[]).env(linker.0, linker.1)).succeeded);
}

#[test]
fn no_room() {
    let machine = Machine::fresh("no-room");
    machine.write("free", "307200");
    machine.fails_with(
        "making the Python environment needs about 800 MB, and ROOT has 300 MB free: \
         make room, then call again",
    );
    machine.write("free", "1024000");
    machine.fails_with(
        "installing evcxr_jupyter needs about 2000 MB, and ROOT has 1000 MB free: \
         make room, then call again",
    );
    machine.write("free", "9000000");
    machine.works();
}

#[test]
fn a_disk_that_fills_up_on_the_way() {
    let machine = Machine::fresh("fills-up");
    fs::rename(machine.path("environment-python"), machine.path("good-python")).unwrap();
    machine.program("environment-python", r#"echo 5000 >"$ROOT/free"; exit 1"#);
    machine.fails_with(
        "making the Python environment needs about 800 MB, and ROOT has 4 MB free: \
         make room, then call again",
    );
    fs::rename(machine.path("good-python"), machine.path("environment-python")).unwrap();
    machine.write("free", "9000000");
    machine.works();
}

#[test]
fn an_interrupted_environment_is_made_anew() {
    let machine = Machine::fresh("interrupted");
    machine.works();
    let stamp = ".lab/python/packages.txt";
    let left_over = ".lab/python/left-over";
    // Interrupted before the end; made from another list; with a Python that is gone.
    for (file, text) in [(stamp, ""), (stamp, "jupyterlab>=3"), (".lab/python/bin/python", "")] {
        machine.write(file, text);
        machine.write(left_over, "");
        machine.works();
        assert!(!machine.path(left_over).exists(), "{file}");
    }
    machine.write(left_over, "");
    machine.works();
    assert!(machine.path(left_over).exists(), "a whole environment stays");
}

#[test]
fn a_kernel_that_does_not_run_cells() {
    let machine = Machine::fresh("broken-kernel");
    machine.write("broken-kernel", "");
    let message = "the kernel ROOT/cargo-home/bin/evcxr_jupyter does not run cells; its words are \
                   above. It is evcxr_jupyter 0.21.1, which may be too old for the compiler: \
                   cargo install --locked --force evcxr_jupyter";
    machine.fails_with(message);
    // It is asked again until it works, and again after a change of compiler.
    machine.fails_with(message);
    machine.remove("broken-kernel");
    machine.works();
    assert!(!machine.calls_of(&[]).contains("first cell"));
    machine.program("bin/rustc", r#"[ "$1" = -V ] && echo "rustc 1.96.0" || echo "$ROOT/sysroot""#);
    machine.write("broken-kernel", "");
    machine.fails_with(message);
}

#[test]
fn a_kernel_on_path_is_used() {
    let machine = Machine::fresh("kernel-on-path");
    machine.copy("evcxr_jupyter", "bin/evcxr_jupyter");
    machine.works();
    assert!(!machine.path("cargo-home").exists());
    let spec = machine.path(".lab/python/share/jupyter/kernels/rust/kernel.json");
    let registered = fs::read_to_string(&spec).unwrap();
    assert!(registered.contains(&format!("\"{}/bin/evcxr_jupyter\"", machine.root.display())));
    assert!(spec.with_file_name("launcher.py").exists());
    // One that points elsewhere is put right.
    fs::write(&spec, "[\"/elsewhere/evcxr_jupyter\"]").unwrap();
    machine.works();
    assert_eq!(fs::read_to_string(&spec).unwrap(), registered);
}

#[test]
fn a_kernel_is_fetched_where_that_is_possible() {
    let machine = Machine::fresh("binstall");
    machine.program("bin/cargo-binstall", "");
    fs::rename(machine.path("bin/cargo"), machine.path("cargo")).unwrap();
    let cargo = r#"[ "$1" = binstall ] || exec "$ROOT/cargo" "$@"
        [ ! -e "$ROOT/not-released" ] || exit 1
        /bin/mkdir -p "$CARGO_HOME/bin" && /bin/cp "$ROOT/evcxr_jupyter" "$CARGO_HOME/bin""#;
    machine.program("bin/cargo", cargo);
    let calls = machine.calls_of(&[]);
    assert!(
        calls.contains("cargo binstall") && !calls.contains("cargo install --locked"),
        "{calls}"
    );
    fs::remove_dir_all(machine.path("cargo-home")).unwrap();
    machine.write("not-released", "");
    let call = machine.lab(&[]);
    assert!(call.succeeded && call.stderr.contains("so it is built"), "{}", call.stderr);
    assert!(machine.path("cargo-home/bin/evcxr_jupyter").exists());
}

#[test]
fn missing_std_sources_are_added_or_warned_about() {
    let machine = Machine::fresh("no-rust-src");
    let std_sources = machine.path("sysroot/lib/rustlib/src/rust/library/std");
    fs::remove_dir(&std_sources).unwrap();
    let warning = "warning: the toolchain has no rust-src";
    machine.program("bin/rustup", "exit 1");
    let call = machine.lab(&[]);
    assert!(call.succeeded && call.stderr.contains(warning), "{}", call.stderr);
    machine.program("bin/rustup", &format!("/bin/mkdir -p {}", std_sources.display()));
    let call = machine.lab(&[]);
    assert!(call.succeeded && !call.stderr.contains(warning), "{}", call.stderr);
}

#[test]
fn an_activated_environment_is_used_if_it_has_everything() {
    let machine = Machine::fresh("activated");
    fs::create_dir_all(machine.path("conda/bin")).unwrap();
    machine.copy("environment-python", "conda/bin/python");
    let activated = || {
        let mut command = machine.command(&[]);
        Call::of(command.env("CONDA_PREFIX", machine.path("conda")))
    };
    assert!(activated().succeeded);
    assert!(!machine.path(".lab/python").exists());
    assert!(machine.path("conda/share/jupyter/kernels/rust/kernel.json").exists());

    machine.write("lacking", "");
    let call = activated();
    assert!(call.succeeded && call.stderr.contains("/conda lacks nbclient: using our own"));
    assert!(machine.path(".lab/python/packages.txt").exists());
}
