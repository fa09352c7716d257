//! How worker processes start, what they have of the program, and what ends with them.
#![allow(unsafe_code)] // descriptors and the environment, in processes of their own

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel};

use crate::{BACKENDS, system};

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error_as_in_main() {
    fn write(_: u64) -> bool {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        writer.write_all(b"for nobody").unwrap_err().kind() == ErrorKind::BrokenPipe
    }
    for &backend in BACKENDS {
        assert_eq!(Parallel::new(1).backend(backend).map(write, [0]).unwrap().results, [true]);
    }
}

#[test]
fn tasks_have_the_same_stack_everywhere() {
    /// Uses about so many kB of stack.
    fn deep(kilobytes: u64) -> u64 {
        let room = std::hint::black_box([kilobytes as u8; 1024]);
        if kilobytes == 0 { 0 } else { deep(kilobytes - 1) + u64::from(room[512] == 0) }
    }
    let run = |kilobytes| {
        for backend in [Backend::Threading, Backend::Multiprocessing] {
            let parallel = Parallel::new(2).backend(backend);
            assert!(parallel.map(deep, [kilobytes; 2]).is_ok(), "{backend}");
        }
    };
    run(4_000);
    let name = "startup::tasks_have_the_same_stack_everywhere";
    if system::is_alone() {
        run(20_000);
        return;
    }
    let output = system::alone(name).env("RUST_MIN_STACK", "50000000").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn workers_have_the_programs_arguments_and_its_name() {
    fn about(_: u64) -> (Vec<String>, String, Vec<u8>) {
        let own = format!("/proc/{}", std::process::id());
        let name = fs::read_to_string(format!("{own}/comm")).unwrap();
        (std::env::args().collect(), name, fs::read(format!("{own}/cmdline")).unwrap())
    }
    assert_eq!(pool(1).map(about, [0]).unwrap().results, [about(0)]);
}

#[test]
fn all_workers_have_the_folder_and_the_environment_of_the_first_call() {
    let name = "startup::all_workers_have_the_folder_and_the_environment_of_the_first_call";
    system::in_a_process_of_its_own(name, || {
        fn about(_: u64) -> (PathBuf, Option<String>, u32) {
            let word = std::env::var("JOBLAB_TEST_WORD").ok();
            (std::env::current_dir().unwrap(), word, std::process::id())
        }
        let set = |word| {
            // SAFETY: the harness's other thread waits for this one.
            unsafe { std::env::set_var("JOBLAB_TEST_WORD", word) };
        };
        let folder = std::env::temp_dir().join(format!("joblab-folder-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = folder.canonicalize().unwrap();
        std::env::set_current_dir(&folder).unwrap();
        set("before");
        let parallel = pool(1);
        let (before, word, first) = parallel.map(about, [0]).unwrap().results.remove(0);
        assert_eq!((before, word.as_deref()), (folder.clone(), Some("before")));
        std::env::set_current_dir("/").unwrap();
        set("after");
        let moved = folder.with_extension("moved");
        fs::rename(&folder, &moved).unwrap();
        system::kill("-KILL", first);
        system::eventually("the worker is gone", || !system::children().contains(&first));
        let (after, word, second) = parallel.map(about, [0]).unwrap().results.remove(0);
        assert_eq!((after, word.as_deref()), (moved.clone(), Some("before")));
        assert_ne!(first, second);
        let (other, word, _) = pool(1).map(about, [0]).unwrap().results.remove(0);
        assert_eq!((other, word.as_deref()), (PathBuf::from("/"), Some("after")));
        fs::remove_dir_all(moved).unwrap();
    });
}

#[test]
fn workers_keep_nothing_open_that_is_the_programs() {
    fn open_files(_: u64) -> Vec<PathBuf> {
        let files = fs::read_dir("/proc/self/fd").unwrap();
        files.filter_map(|file| fs::read_link(file.unwrap().path()).ok()).collect()
    }
    let path = std::env::temp_dir().join(format!("joblab-open-{}", std::process::id()));
    let file = File::create(&path).unwrap();
    // SAFETY: the descriptor is open, and its copy is closed below.
    let inheritable = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 3) };
    assert!(inheritable > 2);
    let open = pool(1).map(open_files, [0]).unwrap().results.remove(0);
    // SAFETY: it is the copy from above.
    unsafe { libc::close(inheritable) };
    fs::remove_file(&path).unwrap();
    assert!(!open.contains(&path), "{open:?}");
    let sockets = open.iter().filter(|file| file.display().to_string().starts_with("socket:"));
    assert!(sockets.count() <= 3, "{open:?}");
}

/// Starts a program that starts another one, writes down who that is, and waits for it.
fn start(file: PathBuf) -> u64 {
    let script = format!("sleep 100 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    Command::new("sh").args(["-c", &script]).status().unwrap();
    0
}

fn started(file: &Path) -> u32 {
    system::eventually("the program is started", || file.exists());
    let pid = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    fs::remove_file(file).unwrap();
    pid
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("joblab-started-{name}-{}", std::process::id()))
}

#[test]
fn what_a_stopped_task_has_started_is_stopped() {
    let (late, dropped) = (file("late"), file("dropped"));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let parallel = pool(1).task_timeout(Duration::from_secs(2));
            parallel.map(start, [late.clone()]).unwrap_err()
        });
        let sleeper = started(&late);
        assert!(call.join().unwrap().is_timeout());
        system::eventually("it is stopped", || !system::is_running(sleeper));
    });
    // The call ends with the first failure, and the worker of the other task is killed.
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            fn fails_or_starts(file: Option<PathBuf>) -> u64 {
                match file {
                    Some(file) => start(file),
                    None => {
                        std::thread::sleep(Duration::from_secs(1));
                        panic!("on purpose")
                    }
                }
            }
            pool(2).map(fails_or_starts, [Some(dropped.clone()), None]).unwrap_err()
        });
        let sleeper = started(&dropped);
        assert!(call.join().unwrap().is_panic());
        system::eventually("it is stopped", || !system::is_running(sleeper));
    });
    // A task that has ended may leave something running.
    fn leave(_: u64) -> u32 {
        Command::new("sleep").arg("100").spawn().unwrap().id()
    }
    let sleeper = pool(1).map(leave, [0]).unwrap().results[0];
    assert!(system::is_running(sleeper));
    system::kill("-KILL", sleeper);
}

#[test]
fn what_a_task_has_started_ends_with_its_worker_and_with_the_program() {
    let name = "startup::what_a_task_has_started_ends_with_its_worker_and_with_the_program";
    if system::is_alone() {
        let crash = file("crash");
        std::thread::scope(|scope| {
            let call = scope.spawn(|| pool(1).map(start, [crash.clone()]).unwrap_err());
            let sleeper = started(&crash);
            system::kill("-KILL", system::children()[0]);
            assert!(call.join().unwrap().is_worker_death());
            system::eventually("it is stopped", || !system::is_running(sleeper));
        });
        std::thread::scope(|scope| {
            let (file, name) = (file("parent"), &crash);
            let last = file.clone();
            scope.spawn(move || pool(1).map(start, [last]));
            println!("\nstarted {} {}", started(&file), name.display());
        });
        return;
    }
    for signal in ["-KILL", "-INT"] {
        let mut parent = system::alone(name).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let sleeper = lines
            .find_map(|line| {
                line.unwrap().strip_prefix("started ")?.split(' ').next()?.parse().ok()
            })
            .unwrap();
        assert!(system::is_running(sleeper));
        system::kill(signal, parent.id());
        parent.wait().unwrap();
        system::eventually("it is stopped", || !system::is_running(sleeper));
    }
}
