//! A machine played by fake programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A program cannot be started while any process has it open for writing, and a process that
/// another thread is just starting has what this thread has open. So one does not meet the other.
static WRITING_OR_STARTING: Mutex<()> = Mutex::new(());

/// A folder with a workspace and a PATH of its own.
pub(crate) struct Machine {
    pub(crate) root: PathBuf,
}

/// What a call of `cargo lab` did.
pub(crate) struct Call {
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    /// A machine with Rust, Python, a linker and room, but without kernel and environment.
    pub(crate) fn fresh(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let std_sources = "sysroot/lib/rustlib/src/rust/library/std";
        for folder in ["bin", "home", "notebooks", "crates/lab", std_sources] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let machine = Self { root: root.canonicalize().unwrap() };
        machine.write(
            "environment.yml",
            "# Python packages\n  - jupyterlab>=4\n  - nbclient\n# Test packages\n# - playwright>=1\n",
        );
        machine.write("notebooks/01-first.ipynb", "");
        machine.write("notebooks/02-second.ipynb", "");
        machine.write("free", "9000000");
        machine.program("bin/cc", "");
        machine.program(
            "bin/df",
            r#"echo header; read free <"$ROOT/free"; echo "disk 1 1 $free 1% /""#,
        );
        machine.program(
            "bin/rustc",
            r#"[ "$1" = -V ] && echo "rustc 1.95.0" || echo "$ROOT/sysroot""#,
        );
        machine.program(
            "bin/cargo",
            r#"[ "$2" = --list ] && { echo "evcxr_jupyter v0.21.1:"; exit; }
               if [ "$1" = generate-lockfile ]; then
                 case "$*" in *--offline) ;; *) [ ! -e "$ROOT/no-network" ] || exit 101 ;; esac
                 exec /bin/cp "$ROOT/versions" "${3%.toml}.lock"
               fi
               /bin/mkdir -p "$CARGO_TARGET_DIR" "$CARGO_HOME/bin"
               [ -e "$ROOT/no-network" ] && exit 101
               /bin/cp "$ROOT/evcxr_jupyter" "$CARGO_HOME/bin""#,
        );
        machine.program(
            "evcxr_jupyter",
            r#"[ "$1" = --install ] || exit 0
               /bin/mkdir -p "$JUPYTER_PATH/kernels/rust"
               echo "[\"$0\"]" >"$JUPYTER_PATH/kernels/rust/kernel.json""#,
        );
        machine.program(
            "bin/python3",
            r#"case "$*" in
                 *version_info*) echo 3 11 ;;
                 "-m venv"*) /bin/mkdir -p "$3/bin" && /bin/cp "$ROOT/environment-python" "$3/bin/python" ;;
               esac"#,
        );
        machine.program(
            "environment-python",
            r#"case "$*" in
                 "-m pip"*) [ ! -e "$ROOT/no-network" ] ;;
                 "-m jupyterlab"*) shift 2; echo "$*" >"$ROOT/opened"; echo "$CARGO_NET_OFFLINE" >"$ROOT/offline" ;;
                 *kernel/build.py*) [ ! -e "$ROOT/broken-crate" ] || exit 1
                   /bin/mkdir -p "$5/built" && /bin/cat >"$5/built/stamp" ;;
                 *first-cell.ipynb) echo first cell >>"$ROOT/calls"
                   [ ! -e "$ROOT/broken-kernel" ] || { echo "E0308"; exit 1; } ;;
                 *requirement*) [ ! -e "$ROOT/lacking" ] || echo "nbclient" ;;
               esac"#,
        );
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let _guard = WRITING_OR_STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let _guard = WRITING_OR_STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Writes a program that notes its call in the file `calls`.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let root = self.root.display();
        let note = format!("ROOT={root}\necho \"{name} $*\" >>\"$ROOT/calls\"");
        self.write(name, &format!("#!/bin/sh\n{note}\n{script}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("CARGO", self.path("bin/cargo"))
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("CARGO_MANIFEST_DIR", self.path("crates/lab"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn lab(&self, arguments: &[&str]) -> Call {
        Call::of(&mut self.command(arguments))
    }

    /// The commands that ran in a call, by the programs' own notes.
    pub(crate) fn calls_of(&self, arguments: &[&str]) -> String {
        self.write("calls", "");
        assert!(self.lab(arguments).succeeded);
        fs::read_to_string(self.path("calls")).unwrap()
    }

    #[track_caller]
    pub(crate) fn works(&self) {
        let call = self.lab(&[]);
        assert!(call.succeeded, "{}", call.stderr);
        assert!(self.path("opened").exists());
    }

    #[track_caller]
    pub(crate) fn fails_with(&self, message: &str) {
        let call = self.lab(&[]);
        assert!(!call.succeeded);
        let message = message.replace("ROOT", self.root.to_str().unwrap());
        assert_eq!(call.stderr.lines().last(), Some(format!("error: {message}").as_str()));
        assert_eq!(call.stderr.matches("error:").count(), 1, "{}", call.stderr);
    }
}

impl Call {
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = {
            let _guard = WRITING_OR_STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { succeeded: output.status.success(), stdout, stderr }
    }
}
