//! What tasks in processes print, and what becomes of it where nobody reads, or not everything.
#![allow(unsafe_code)] // streams that are closed, full, or somebody else's

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use joblab::{Backend, Parallel, delayed};

use crate::system;

fn pool(n_jobs: i32) -> Parallel {
    Parallel::new(n_jobs).backend(Backend::Multiprocessing)
}

fn noise(_: u64) -> u64 {
    loop {
        println!("noise noise noise noise");
    }
}

/// Prints as much as two pipes hold, and more.
fn loud(n: u64) -> u64 {
    for _ in 0..20 {
        println!("{}", "loud ".repeat(2000));
        eprintln!("{}", "loud ".repeat(2000));
    }
    n
}

#[test]
fn a_caller_may_hold_its_streams_while_it_waits() {
    fn tell(n: u64) -> u64 {
        println!("stdout {n}");
        eprintln!("stderr {n}");
        n
    }
    let name = "output::a_caller_may_hold_its_streams_while_it_waits";
    let Some(output) = system::in_a_process_of_its_own(name, || {
        println!();
        let (mut stdout, _stderr) = (io::stdout().lock(), io::stderr().lock());
        let parallel = pool(2).call_timeout(Duration::from_secs(60));
        for n in parallel.iter((0..4).map(|n| delayed(tell, n))).unwrap() {
            writeln!(stdout, "got {}", n.unwrap()).unwrap();
        }
        drop(parallel);
    }) else {
        return;
    };
    for n in 0..4 {
        let told = output.stdout.find(&format!("stdout {n}\n")).unwrap();
        assert!(told < output.stdout.find(&format!("got {n}\n")).unwrap(), "{}", output.stdout);
        assert!(output.stderr.contains(&format!("stderr {n}\n")), "{}", output.stderr);
    }
}

/// Runs a test alone and gives what it printed to standard output between two marks.
fn printed(name: &str, work: impl FnOnce()) -> Option<Vec<u8>> {
    const MARK: &str = "\n-- mark --\n";
    if system::is_alone() {
        print!("{MARK}");
        work();
        print!("{MARK}");
        return None;
    }
    let output = system::alone(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let find = |from: usize| {
        let rest = &output.stdout[from..];
        from + rest.windows(MARK.len()).position(|part| part == MARK.as_bytes()).unwrap()
    };
    let begin = find(0) + MARK.len();
    Some(output.stdout[begin..find(begin)].to_vec())
}

#[test]
fn in_a_program_output_is_passed_on_byte_for_byte() {
    const BYTES: [u8; 8] = [0, 1, 2, 255, 13, 7, 0xf0, 0x9f];
    fn long(n: usize) {
        println!("{{\"x\":\"{}\"}}", "y".repeat(n));
    }
    fn dot(n: u64) {
        print!(".{n}");
    }
    fn bytes(_: u64) {
        io::stdout().write_all(&BYTES).unwrap();
    }
    let name = "output::in_a_program_output_is_passed_on_byte_for_byte";
    let Some(printed) = printed(name, || {
        let parallel = pool(1);
        drop(parallel.map(long, [3 << 20, 10_000]).unwrap());
        drop(parallel.map(dot, 0..3).unwrap());
        drop(parallel.map(dot, 3..4).unwrap());
        drop(parallel.map(bytes, 0..1).unwrap());
        drop(parallel.map(|_: u64| println!("EVCXR_TMPDIR=/tmp/x"), 0..1).unwrap());
        parallel
            .map(
                |_: u64| -> u64 {
                    print!("last words");
                    std::process::exit(3)
                },
                0..1,
            )
            .unwrap_err();
    }) else {
        return;
    };
    let mut expected = Vec::new();
    for n in [3 << 20, 10_000] {
        writeln!(expected, "{{\"x\":\"{}\"}}", "y".repeat(n)).unwrap();
    }
    expected.extend(b".0.1.2.3");
    expected.extend(BYTES);
    expected.extend(b"EVCXR_TMPDIR=/tmp/x\nlast words");
    let differ = printed.iter().zip(&expected).position(|(one, other)| one != other);
    assert_eq!((printed.len(), differ), (expected.len(), None));
}

#[test]
fn lines_of_workers_do_not_mix() {
    fn lines(n: usize) {
        let letter = char::from(b'a' + n as u8).to_string();
        for length in [1, 100, 5_000, 70_000, 500_000] {
            println!("{}", letter.repeat(length));
        }
    }
    let Some(printed) = printed("output::lines_of_workers_do_not_mix", || {
        drop(pool(4).map(lines, 0..12).unwrap());
    }) else {
        return;
    };
    let mut lines: Vec<(u8, usize)> = printed
        .trim_ascii_end()
        .split(|&byte| byte == b'\n')
        .map(|line| {
            assert!(line.iter().all(|byte| *byte == line[0]), "two workers in one line");
            (line[0], line.len())
        })
        .collect();
    lines.sort_unstable();
    let each = |letter| [1, 100, 5_000, 70_000, 500_000].map(|length| (letter, length));
    assert_eq!(lines, (b'a'..b'a' + 12).flat_map(each).collect::<Vec<_>>());
}

/// Runs a test alone; `read` gets its standard output and its lines of standard error.
fn watched(name: &str, work: impl FnOnce(), watch: impl FnOnce(&mut dyn Read, &mut dyn BufRead)) {
    if system::is_alone() {
        return work();
    }
    let mut child =
        system::alone(name).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    watch(&mut child.stdout.take().unwrap(), &mut stderr);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
}

#[test]
fn a_task_that_prints_without_end_takes_nobodys_time() {
    fn task(n: u64) -> u64 {
        if n == 0 {
            noise(n);
        }
        thread::sleep(Duration::from_millis(20));
        n
    }
    let work = || {
        let parallel = pool(2).call_timeout(Duration::from_secs(60));
        let list = || (0..40).map(|n| delayed(task, n));
        let run = parallel.iter_unordered(list()).unwrap();
        let mut others: Vec<u64> = run.take(39).map(|done| done.unwrap().1).collect();
        others.sort_unstable();
        assert_eq!(others, (1..40).collect::<Vec<_>>());

        let parallel = parallel.task_timeout(Duration::from_secs(1));
        let error = parallel.run(list()).unwrap_err();
        assert_eq!(error.task_index(), Some(0), "{error}");
        assert!(error.is_timeout(), "{error}");
    };
    let name = "output::a_task_that_prints_without_end_takes_nobodys_time";
    watched(name, work, |stdout, _| {
        io::copy(stdout, &mut io::sink()).unwrap();
    });
}

#[test]
fn a_reader_that_does_not_read_stops_only_who_prints() {
    let work = || {
        let parallel = Arc::new(pool(2));
        let theirs = Arc::clone(&parallel);
        thread::spawn(move || theirs.map(loud, 0..100));
        let noisy = pool(1).task_timeout(Duration::from_millis(300));
        let error = noisy.map(noise, 0..1).unwrap_err();
        assert_eq!(error.task_index(), Some(0), "{error}");
        drop(noisy);
        let quiet = pool(1);
        assert_eq!(quiet.map(|n: u64| n, 0..50).unwrap().results, (0..50).collect::<Vec<_>>());
        eprintln!("-- all is well --");
    };
    let name = "output::a_reader_that_does_not_read_stops_only_who_prints";
    watched(name, work, |stdout, stderr| {
        let well = stderr.lines().any(|line| line.unwrap() == "-- all is well --");
        assert!(well, "it said something else");
        io::copy(stdout, &mut io::sink()).unwrap();
    });
}

/// What can be wrong with a stream.
fn broken_files(folder: &str) -> Vec<Option<OwnedFd>> {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    // Longer than this process's files may get.
    let long = File::create(folder).unwrap();
    vec![None, Some(writer.into()), Some(full.into()), Some(long.into())]
}

#[test]
fn a_stream_that_is_closed_or_full_loses_output_and_nothing_else() {
    let name = "output::a_stream_that_is_closed_or_full_loses_output_and_nothing_else";
    system::in_a_process_of_its_own(name, || {
        let file = format!("{}/joblab-{}", std::env::temp_dir().display(), std::process::id());
        let limit = libc::rlimit { rlim_cur: 10_000, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: plain numbers; programs that want to end with their readers set SIGPIPE so.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        }
        for stream in [1, 2] {
            // SAFETY: the stream is put back where it was; nobody else uses it meanwhile.
            let own = unsafe { OwnedFd::from_raw_fd(libc::dup(stream)) };
            for broken in broken_files(&file) {
                // SAFETY: as above.
                unsafe {
                    match &broken {
                        Some(file) => libc::dup2(file.as_raw_fd(), stream),
                        None => libc::close(stream),
                    };
                }
                let parallel = pool(2);
                let run = parallel.map(loud, 0..6);
                drop(parallel);
                // SAFETY: as above.
                unsafe { libc::dup2(own.as_raw_fd(), stream) };
                assert_eq!(run.unwrap().results, [0, 1, 2, 3, 4, 5], "{broken:?}");
            }
        }
        std::fs::remove_file(&file).unwrap();
    });
}
