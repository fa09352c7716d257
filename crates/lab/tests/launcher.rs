//! The program that starts kernels, with a shell in the kernel's place: the copy that a kernel gets,
//! what becomes of it, and that a kernel starts whatever is wrong.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernel/launcher.py");
const SAYS: &str = "echo \"$EVCXR_TMPDIR\"; echo \"$CARGO_PROFILE_DEV_LTO\"; echo \"$JOBLAB_BACKTRACE\"; \
     echo \"$CARGO_NET_OFFLINE\"; read _";
const FAULT: &str = "The kernel builds its crates itself: ";

/// A folder with something built in it, outside of the workspace.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("joblab-launcher-{name}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir_all(folder.copies().join("first/target")).unwrap();
        fs::write(folder.copies().join("first/target/lib"), "crate").unwrap();
        fs::write(folder.copies().join("first/target/libx.rlib"), "a crate's").unwrap();
        std::os::unix::fs::symlink("copies/first", folder.0.join("built")).unwrap();
        folder
    }

    fn copies(&self) -> PathBuf {
        self.0.join("copies")
    }

    /// How many folders there are for kernels.
    fn count(&self) -> usize {
        fs::read_dir(self.copies()).unwrap().count() - 1
    }

    fn kernel(&self) -> Kernel {
        Kernel::start(&self.0, |_| ())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shell that says what a kernel would see, and lives until it is told to end.
struct Kernel {
    process: Child,
    folder: PathBuf,
    lto: String,
    backtrace: String,
    offline: String,
}

impl Kernel {
    fn start(folder: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("python3");
        command.args(["-IS", LAUNCHER]).arg(folder).args(["/bin/sh", "-c", SAYS]);
        for name in ["EVCXR_TMPDIR", "CARGO_PROFILE_DEV_LTO", "JOBLAB_BACKTRACE", "RUST_BACKTRACE"]
        {
            command.env_remove(name);
        }
        // Whether this machine has a network is not what most tests are about.
        command.env("CARGO_NET_OFFLINE", "false");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut line = || said.next().unwrap().unwrap();
        let folder = line().into();
        Self { folder, lto: line(), backtrace: line(), offline: line(), process }
    }

    fn has_copy(&self) -> bool {
        fs::read_to_string(self.folder.join("target/lib")).is_ok_and(|text| text == "crate")
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it; returns what the launcher said.
    fn end(mut self) -> String {
        self.process.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = self.process.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The launcher clears while the kernel runs.
#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A kernel that has no copy, and a launcher that says why.
#[track_caller]
fn assert_plain(kernel: Kernel, why: &str) {
    assert_eq!(kernel.folder, PathBuf::new());
    assert_eq!((kernel.lto.as_str(), kernel.backtrace.as_str()), ("off", ""));
    let said = kernel.end();
    assert!(said.starts_with(FAULT) && said.contains(why), "no {why:?} in {said}");
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn each_kernel_has_a_copy_of_its_own_until_it_is_dead() {
    let folder = Folder::new("own");
    let (one, other) = (folder.kernel(), folder.kernel());
    assert!(one.has_copy() && other.has_copy() && one.folder != other.folder);
    fs::write(one.folder.join("target/lib"), "one's own").unwrap();
    let third = folder.kernel();
    assert!(third.has_copy() && other.has_copy(), "what one kernel writes is its own");
    let is_link = |name: &str| {
        let [copy, built] = [one.folder.clone(), folder.copies().join("first")]
            .map(|folder| fs::metadata(folder.join(name)).unwrap().ino());
        copy == built
    };
    assert!(is_link("target/libx.rlib") && !is_link("target/lib"));
    assert_eq!(folder.count(), 3);
    let dead = (one.folder.clone(), other.folder.clone());
    one.kill();
    assert_eq!(other.end(), "");
    let fourth = folder.kernel();
    eventually("what dead kernels left is cleared", || !dead.0.exists() && !dead.1.exists());
    assert!(third.has_copy() && fourth.has_copy());
    assert_eq!(folder.count(), 2);
    third.kill();
    fourth.kill();
}

/// Crates' libraries are links: whoever builds one anew must leave the others as they are.
#[test]
#[ignore = "builds; `cargo lab test` runs it"]
fn rustc_puts_a_new_library_in_the_place_of_the_old_one() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("links");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"linked\"\nedition = \"2024\"\n[workspace]";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let build = |n: u32| {
        let source = format!("pub fn f() -> u32 {{ println!(\"{n}\"); {n} }}");
        fs::write(folder.join("src/lib.rs"), source).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--target-dir", "target"]).current_dir(&folder);
        assert!(cargo.status().unwrap().success());
        let deps = fs::read_dir(folder.join("target/debug/deps")).unwrap();
        let mut libraries: Vec<_> = deps.map(|entry| entry.unwrap().path()).collect();
        libraries.retain(|path| path.extension().is_some_and(|kind| kind != "d"));
        libraries
    };
    let libraries = build(1);
    assert_eq!(libraries.len(), 2, "{libraries:?}: an .rlib and an .rmeta");
    let links: Vec<_> = libraries
        .iter()
        .map(|library| {
            let link = folder.join(library.file_name().unwrap());
            fs::hard_link(library, &link).unwrap();
            (fs::read(&link).unwrap(), link)
        })
        .collect();
    assert_eq!(build(2), libraries, "under the same names");
    for (library, (before, link)) in libraries.iter().zip(links) {
        assert_eq!(fs::read(&link).unwrap(), before);
        assert_ne!(fs::read(library).unwrap(), before);
    }
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn a_copy_stays_for_what_a_kernel_leaves_behind() {
    let folder = Folder::new("left");
    let mut command = Command::new("python3");
    command.args(["-IS", LAUNCHER]).arg(&folder.0).env_remove("EVCXR_TMPDIR");
    command.args(["/bin/sh", "-c", "sleep 600 >&- 2>&- & echo \"$EVCXR_TMPDIR\"; echo $!"]);
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let (copy, left) = said.trim().split_once('\n').unwrap();
    folder.kernel().kill();
    assert!(Path::new(copy).exists(), "a process may still have its libraries");
    assert!(Command::new("kill").arg(left).status().unwrap().success());
    while Path::new(copy).exists() {
        folder.kernel().kill();
    }
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn a_kernel_starts_whatever_is_wrong_with_the_folder() {
    assert_plain(Kernel::start(Path::new("/nowhere/at/all"), |_| ()), "nothing is built");

    let folder = Folder::new("no-copies");
    fs::remove_dir_all(folder.copies()).unwrap();
    assert_plain(folder.kernel(), "first");
    let folder = Folder::new("a-file");
    fs::remove_dir_all(folder.copies()).unwrap();
    fs::write(folder.copies(), "").unwrap();
    assert_plain(folder.kernel(), "copies");

    // What cannot be copied as a whole is not used in part.
    let folder = Folder::new("half");
    let pipe = folder.copies().join("first/target/pipe");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_plain(folder.kernel(), "pipe");
    assert_eq!(folder.count(), 0);

    let folder = Folder::new("full");
    let no_room = |command: &mut Command| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 0 && exec \"$@\"", "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, _) in command.get_envs() {
            limited.env_remove(name);
        }
        limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        *command = limited;
    };
    assert_plain(Kernel::start(&folder.0, no_room), "File too large");
    assert_eq!(folder.count(), 0, "half a copy");

    // Root reads everything.
    let folder = Folder::new("unreadable");
    fs::set_permissions(folder.copies(), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(folder.copies()).is_err() {
        assert_plain(folder.kernel(), "Permission denied");
    }
    fs::set_permissions(folder.copies(), fs::Permissions::from_mode(0o700)).unwrap();

    let folder = Folder::new("no-rust");
    let no_rust = |command: &mut Command| {
        let python =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = String::from_utf8(python.unwrap().stdout).unwrap();
        let bin = folder.0.join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(python.trim(), bin.join("python3")).unwrap();
        command.env("PATH", bin);
    };
    assert_plain(Kernel::start(&folder.0, no_rust), "no rustc");

    // Cargo would take the cells for a member of that package's workspace.
    let folder = Folder::new("in-a-package");
    fs::write(folder.0.join("Cargo.toml"), "[workspace]").unwrap();
    assert_plain(folder.kernel(), "inside of a package");

    let folder = Folder::new("with spaces");
    assert_plain(folder.kernel(), "spaces in its path");
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn a_build_that_was_interrupted_is_cleared_and_never_used() {
    let folder = Folder::new("interrupted");
    let half = folder.copies().join("half");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("lock"), "").unwrap();
    let kernel = folder.kernel();
    assert!(kernel.has_copy());
    eventually("it is cleared", || !half.exists());
    kernel.kill();
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn what_the_user_has_said_stays() {
    let folder = Folder::new("said");
    let kernel = Kernel::start(&folder.0, |command| {
        command.env("EVCXR_TMPDIR", "/of/mine").env("CARGO_PROFILE_DEV_LTO", "thin");
        command.env("RUST_BACKTRACE", "full");
    });
    assert_eq!((kernel.folder.to_str(), kernel.lto.as_str()), (Some("/of/mine"), "thin"));
    assert_eq!(kernel.backtrace, "full");
    assert_eq!(kernel.end(), "");
    assert_eq!(folder.count(), 0);
}

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn cargo_asks_for_nothing_where_there_is_no_network() {
    let apart = ["--net", "--map-root-user"];
    if !Command::new("unshare").args(apart).arg("true").status().is_ok_and(|it| it.success()) {
        println!("SKIPPED: no network can be taken away here (unshare)");
        return;
    }
    let folder = Folder::new("no-network");
    let start = |variables: &[(&str, &str)]| {
        Kernel::start(&folder.0, |command| {
            let mut alone = Command::new("unshare");
            alone.args(apart).arg(command.get_program()).args(command.get_args());
            alone.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let proxies =
                ["CARGO_HTTP_PROXY", "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"];
            for name in ["EVCXR_TMPDIR", "CARGO_NET_OFFLINE"].iter().chain(&proxies) {
                alone.env_remove(name);
            }
            alone.envs(variables.iter().copied());
            *command = alone;
        })
    };
    let alone = start(&[]);
    assert_eq!(alone.offline, "true");
    assert!(alone.has_copy());
    assert!(alone.end().contains("no network"));
    let by_proxy = start(&[("https_proxy", "http://localhost:1")]);
    assert_eq!((by_proxy.offline.clone(), by_proxy.end()), (String::new(), String::new()));
    let as_told = start(&[("CARGO_NET_OFFLINE", "false")]);
    assert_eq!((as_told.offline.clone(), as_told.end()), ("false".to_owned(), String::new()));
}
