//! How functions are found in workers: of programs and libraries with any name, loaded anywhere, and
//! unloaded again.
#![allow(unsafe_code)] // libraries and mappings on purpose

use std::ffi::{CString, OsStr, OsString, c_void};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;

use joblab::{Backend, Parallel};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: impl AsRef<OsStr>) -> Self {
        let mut unique = OsString::from(format!("joblab-{}-", std::process::id()));
        unique.push(name);
        let folder = std::env::temp_dir().join(unique);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Builds a library with a function that multiplies by `factor`. It needs nothing of std, so that
    /// nothing keeps it loaded.
    fn build(&self, name: &str, factor: u64) -> PathBuf {
        // The compiler takes no path that is not UTF-8.
        let folder = std::env::temp_dir();
        let [built, source] = ["so", "rs"]
            .map(|end| folder.join(format!("joblab-{}-{name}-{factor}.{end}", std::process::id())));
        let code = format!(
            "#![no_std]
            #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! {{ loop {{}} }}
            #[unsafe(no_mangle)] pub fn cell(n: u64) -> u64 {{ n.wrapping_mul({factor}) }}"
        );
        fs::write(&source, code).unwrap();
        let status = Command::new("rustc")
            .args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort"])
            .args(["--crate-name", "cell", "-O", "-o"])
            .args([&built, &source])
            .status();
        assert!(status.unwrap().success());
        let library = self.0.join(name);
        // Its own file: what was there before may be loaded.
        let _ = fs::remove_file(&library);
        fs::copy(&built, &library).unwrap();
        fs::remove_file(built).unwrap();
        fs::remove_file(source).unwrap();
        library
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Library {
    handle: *mut c_void,
    cell: fn(u64) -> u64,
}

impl Library {
    fn load(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the library was made here by the same compiler, with this function in it.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null(), "{path:?}");
            let symbol = libc::dlsym(handle, c"cell".as_ptr());
            let cell = std::mem::transmute::<*mut c_void, fn(u64) -> u64>(symbol);
            Library { handle, cell }
        }
    }

    fn unload(self) {
        // SAFETY: nobody calls its function any more.
        assert_eq!(unsafe { libc::dlclose(self.handle) }, 0);
        let maps = fs::read("/proc/self/maps").unwrap();
        assert!(!String::from_utf8_lossy(&maps).contains("libcell"), "it is unloaded");
    }
}

fn map(path: &Path, near: usize) -> usize {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    let near = ptr::without_provenance_mut(near & !0xffff);
    let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
    // SAFETY: without MAP_FIXED nothing else is replaced.
    let mapped = unsafe { libc::mmap(near, length, read, private, file.as_raw_fd(), 0) };
    assert_ne!(mapped, libc::MAP_FAILED);
    mapped as usize
}

/// Maps a file once more, at a lower address.
fn map_below(path: &Path, address: usize) {
    // Something else may be there already.
    let is_lower = (1..100).any(|step| map(path, address - step * (256 << 20)) < address);
    assert!(is_lower, "it is the first mapping of its file now");
}

#[test]
fn a_library_that_is_mapped_once_more_is_called_where_it_was_loaded() {
    let folder = Folder::new("twice");
    let path = folder.build("libtwice.so", 2);
    let library = Library::load(&path);
    map_below(&path, library.cell as usize);
    assert_eq!(pool(1).map(library.cell, [21]).unwrap().results, [42]);
    // And so is the program.
    map_below(&std::env::current_exe().unwrap(), pool as *const () as usize);
    assert_eq!(pool(1).map(|n: u64| n + 1, [21]).unwrap().results, [22]);
}

#[test]
fn files_may_have_any_name() {
    for name in [&b"with spaces \\012 and (deleted)"[..], b"new\nline", b"donn\xe9es"] {
        let folder = Folder::new(OsStr::from_bytes(name));
        let data = folder.0.join("data");
        fs::write(&data, [1; 8192]).unwrap();
        map(&data, 0);
        let library = Library::load(&folder.build("libnamed.so", 2));
        assert_eq!(
            pool(1).map(library.cell, [21]).unwrap().results,
            [42],
            "{folder:?}",
            folder = folder.0
        );
    }
}

#[test]
fn so_may_the_program() {
    let name = "libraries::so_may_the_program";
    if system::is_alone() {
        assert_eq!(pool(2).map(|n: u64| n + 1, 0..2).unwrap().results, [1, 2]);
        return;
    }
    for folder in [&b"with spaces (deleted)"[..], b"a\nprogram's", b"programm\xe9"] {
        let folder = Folder::new(OsStr::from_bytes(folder));
        let program = folder.0.join(OsStr::from_bytes(b"a\nprogramm\xe9 (deleted)"));
        let ours = std::env::current_exe().unwrap();
        fs::hard_link(&ours, &program).or_else(|_| fs::copy(&ours, &program).map(drop)).unwrap();
        let mut command = Command::new(program);
        // The harness takes no argument that is not UTF-8.
        command.arg0("it").args(system::alone(name).get_args()).envs([(system::ALONE, "1")]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{output:?}");
    }
}

#[test]
fn a_library_that_was_unloaded_is_not_taken_for_the_next_one() {
    let name = "libraries::a_library_that_was_unloaded_is_not_taken_for_the_next_one";
    system::in_a_process_of_its_own(name, || {
        let folder = Folder::new("reloaded");
        let parallel = pool(2);
        let mut places = Vec::new();
        // Another file, the same name again, and the same file with other bytes.
        for (name, factor) in [("libcell1.so", 2), ("libcell2.so", 3), ("libcell2.so", 4)] {
            let path = folder.build(name, factor);
            let library = Library::load(&path);
            places.push(library.cell as usize);
            let run = parallel.map(library.cell, 0..8).unwrap();
            assert_eq!(run.results, (0..8).map(|n| n * factor).collect::<Vec<_>>());
            library.unload();
        }
        let library = folder.build("other.so", 5);
        fs::write(folder.0.join("libcell2.so"), fs::read(library).unwrap()).unwrap();
        let library = Library::load(&folder.0.join("libcell2.so"));
        places.push(library.cell as usize);
        assert_eq!(parallel.map(library.cell, 0..8).unwrap().results[7], 35);
        assert!(places.iter().all(|place| *place == places[0]), "all were loaded in one place");
        // Where none is unloaded, workers stay.
        let who = || parallel.map(|_: u64| std::process::id(), 0..1).unwrap().results;
        assert_eq!(who(), who());
    });
}
