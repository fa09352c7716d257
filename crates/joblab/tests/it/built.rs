//! Programs that are linked in other ways than this one: their start-up code in another order, without
//! shared libraries, or with the crate in a library only.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder for what is built, which is removed in the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        // Tests that run at once may ask for the same.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("joblab-{name}-{pid}-{count}"));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Compiles a source with the crate that this program has, and says whether that worked.
    pub(crate) fn compile(
        &self,
        name: &str,
        source: &str,
        options: &[&str],
    ) -> Result<PathBuf, String> {
        let path = self.0.join(format!("{name}.rs"));
        fs::write(&path, source).unwrap();
        let built = self.0.join(name);
        let own = std::env::current_exe().unwrap();
        let deps = own.parent().unwrap();
        let mut last = "there is no libjoblab".to_owned();
        for library in crates(deps) {
            let output = Command::new("rustc")
                .args(["--edition", "2024", "--crate-name", "built", "-o"])
                .args([&built, &path])
                .arg("--extern")
                .arg(format!("joblab={}", library.display()))
                .arg("-L")
                .arg(format!("dependency={}", deps.display()))
                .args(options)
                .output()
                .unwrap();
            if output.status.success() {
                return Ok(built);
            }
            last = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        Err(last)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The builds of the crate, newest first: that for the tests is among them.
fn crates(deps: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(deps).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            name.starts_with("libjoblab-") && name.ends_with(".rlib")
        })
        .map(|file| (file.metadata().unwrap().modified().unwrap(), file))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, file)| file).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn whatever_runs_before_main_has_run_once_before_the_first_task() {
    // On the linker's line this comes behind the crate.
    let late = "
        #![no_std]
        unsafe extern \"C\" { fn count_late(); }
        extern \"C\" fn late() { unsafe { count_late() } }
        #[used] #[unsafe(link_section = \".init_array\")] static LATE: extern \"C\" fn() = late;
    ";
    let program = "
        use joblab::{Backend, Parallel};
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        static EARLY: AtomicU64 = AtomicU64::new(0);
        static LATE: AtomicU64 = AtomicU64::new(0);
        extern \"C\" fn early() { EARLY.fetch_add(1, SeqCst); }
        #[unsafe(no_mangle)] extern \"C\" fn count_late() { LATE.fetch_add(1, SeqCst); }
        #[used] #[unsafe(link_section = \".init_array\")] static A: extern \"C\" fn() = early;
        #[used] #[unsafe(link_section = \".init_array.90\")] static B: extern \"C\" fn() = early;
        fn both(_: u64) -> (u64, u64) { (EARLY.load(SeqCst), LATE.load(SeqCst)) }
        fn main() {
            let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
            println!(\"{:?} {:?}\", both(0), parallel.map(both, [0]).unwrap().results);
        }
    ";
    let folder = Folder::new("order");
    let options = ["--crate-type", "lib", "--emit", "obj", "-C", "panic=abort", "-O"];
    let late = folder.compile("late.o", late, &options).unwrap();
    let late = format!("link-arg={}", late.display());
    let ways: [&[&str]; 6] = [
        &[],
        &["-O", "-C", "codegen-units=1", "-C", "strip=symbols"],
        &["-C", "relocation-model=static"],
        &["-C", "link-arg=-fuse-ld=bfd", "-C", "link-arg=-Wl,--gc-sections"],
        &["-C", "target-feature=+crt-static"],
        &["-C", "target-feature=+crt-static", "-C", "relocation-model=static"],
    ];
    for way in ways {
        let options = [&["-C", &late], way].concat();
        let built = match folder.compile("order", program, &options) {
            Ok(built) => built,
            // Not every machine has another linker, or the C library to link with.
            Err(error) if !way.is_empty() && error.contains("linking with") => {
                println!("SKIPPED {way:?}: {error}");
                continue;
            }
            Err(error) => panic!("{way:?}: {error}"),
        };
        let output = Command::new(built).stdin(Stdio::null()).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "(2, 1) [(2, 1)]\n",
            "{way:?} {output:?}"
        );
    }
}

#[test]
fn in_a_library_of_another_program_processes_are_refused() {
    let library = "
        use joblab::{Backend, Parallel};
        #[unsafe(no_mangle)] pub extern \"C\" fn work() {
            for backend in [Backend::Threading, Backend::Multiprocessing] {
                let run = Parallel::new(2).backend(backend).map(|n: u64| n + 1, 0..2);
                println!(\"{:?}\", run.map(|run| run.results).map_err(|error| error.to_string()));
            }
        }
    ";
    // It knows nothing of the crate.
    let host = "
        use std::ffi::{CString, c_char, c_int, c_void};
        unsafe extern \"C\" {
            fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
            fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
        }
        fn main() {
            println!(\"main runs\");
            let path = CString::new(std::env::args().nth(1).unwrap()).unwrap();
            unsafe {
                let library = dlopen(path.as_ptr(), 2);
                assert!(!library.is_null());
                std::mem::transmute::<_, extern \"C\" fn()>(dlsym(library, c\"work\".as_ptr()))()
            }
        }
    ";
    let folder = Folder::new("host");
    let library = folder.compile("library.so", library, &["--crate-type", "cdylib"]).unwrap();
    let host = folder.compile("host", host, &[]).unwrap();
    let output = Command::new(&host).arg(&library).stdin(Stdio::null()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let [main, threads, processes] = stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{output:?}");
    };
    assert_eq!((main, threads), ("main runs", "Ok([1, 2])"));
    for words in ["could not be started", host.to_str().unwrap(), library.to_str().unwrap()] {
        assert!(processes.contains(words), "{processes}");
    }
}

#[test]
fn a_program_that_is_another_one_by_now_is_no_worker() {
    let source = |more: u64| {
        format!(
            "use joblab::{{Backend, Parallel}};
            fn task(n: u64) -> u64 {{ n + {more} }}
            fn main() {{
                println!(\"begun\");
                std::io::stdin().read_line(&mut String::new()).unwrap();
                let parallel = Parallel::new(1).backend(Backend::Multiprocessing);
                match parallel.map(task, [1]) {{
                    Ok(run) => println!(\"{{:?}}\", run.results),
                    Err(error) => println!(\"{{error}}\"),
                }}
            }}"
        )
    };
    let folder = Folder::new("replaced");
    let program = folder.compile("program", &source(1), &[]).unwrap();
    let mut running = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    fs::remove_file(&program).unwrap();
    let other = folder.compile("program", &source(2), &[]).unwrap();
    if cfg!(target_os = "linux") {
        // By this name Linux tells of the file that was there; on macOS it keeps the path.
        fs::copy(&other, folder.0.join("program (deleted)")).unwrap();
    }
    drop(running.stdin.take());
    let said = lines.next().unwrap().unwrap();
    running.wait().unwrap();
    if cfg!(all(target_os = "linux", not(joblab_portable))) {
        assert_eq!(said, "[2]", "Linux starts the program that runs, whatever its file is by now");
    } else {
        assert!(said.contains("was built anew since it was started (start it again)"), "{said}");
    }
}
