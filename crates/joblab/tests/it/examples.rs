//! The examples, each built and run as the program that it is.

use std::f64::consts::PI;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::built::Folder;

/// An example that is built; its folder may hold what it reads and writes.
struct Example {
    folder: Folder,
    command: Command,
}

fn example(name: &str) -> Example {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let folder = Folder::new(&format!("example-{name}"));
    let program = folder.compile(name, &fs::read_to_string(file).unwrap(), &["-O"]).unwrap();
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    Example { folder, command }
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// What it prints, if it ends well.
fn printed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_says_what_it_shows_and_how_it_is_run_and_is_in_the_readme() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(own.join("README.md")).unwrap();
    let files: Vec<_> = fs::read_dir(own.join("examples")).unwrap().flatten().collect();
    assert!(files.len() > 9, "{files:?}");
    for file in files {
        let code = fs::read_to_string(file.path()).unwrap();
        let name = file.file_name().into_string().unwrap().replace(".rs", "");
        let head = code.lines().map_while(|line| line.strip_prefix("//!")).collect::<String>();
        assert!(head.contains(&format!("--example {name}")), "{name}: {head}");
        assert!(code.lines().count() <= 60, "{name}: {}", code.lines().count());
        assert!(readme.contains(&format!("| `{name}` |")), "{name} is not in the README");
    }
}

#[test]
fn words_are_counted_and_a_file_that_is_no_text_is_named() {
    let Example { folder, mut command } = example("words");
    let texts = folder.0.join("texts");
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join("a"), "The cat, the dog").unwrap();
    fs::write(texts.join("b"), "dog: the CAT; mouse").unwrap();
    let expected =
        "2 files, 4 words that differ\n      3  the\n      2  cat\n      2  dog\n      1  mouse\n";
    assert_eq!(printed(command.arg(&texts)), expected);
    fs::write(texts.join("c"), b"\xff").unwrap();
    let failed = output(&mut command);
    let stderr = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && stderr.contains("texts/c: "), "{failed:?}");
}

#[test]
fn a_sweep_that_was_stopped_goes_on_where_it_was() {
    let Example { folder, mut command } = example("sweep");
    let file = folder.0.join("results");
    let stopped = output(command.arg(&file).arg("7"));
    let stderr = String::from_utf8_lossy(&stopped.stderr);
    assert!(!stopped.status.success() && stderr.contains("was cancelled after"), "{stopped:?}");
    let mut command = Command::new(command.get_program());
    let lines = printed(command.arg(&file));
    let (first, rest) = lines.split_once('\n').unwrap();
    let (resumed, of) = first.split_once(" of 40 results were in ").unwrap();
    assert!((7..40).contains(&resumed.parse().unwrap()), "{first}");
    assert_eq!(of, file.to_str().unwrap());
    // With little damping and a strong drive it turns over, many times.
    assert!(rest.starts_with("the widest swing: ") && rest.contains("with damping 0.1"), "{rest}");
    let again = printed(&mut command);
    assert!(again.starts_with("40 of 40") && again.ends_with(rest), "{again}");
}

#[test]
fn the_same_seeds_estimate_the_same_pi_everywhere() {
    let printed = printed(&mut example("monte_carlo").command);
    let estimates: Vec<f64> =
        printed.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(estimates.len(), 4, "{printed}");
    // Of five million darts, four standard deviations.
    assert!((estimates[0] - PI).abs() < 0.003, "{printed}");
    assert!(estimates.iter().all(|pi| *pi == estimates[0]), "{printed}");
}

#[test]
fn a_picture_is_blurred_at_the_edge_of_its_disc() {
    let Example { folder, mut command } = example("image_filter");
    let file = folder.0.join("blurred.pgm");
    let printed = printed(command.arg(&file));
    // The disc's edge is 2 * 150 * pi pixels long; up to nine across it are grey.
    let words: Vec<_> = printed.split(' ').collect();
    let after: usize = words[4].parse().unwrap();
    assert!(words[0] == "0" && (4_000..12_000).contains(&after), "{printed}");
    let picture = fs::read(file).unwrap();
    let pixels = picture.strip_prefix(b"P5 640 480 255\n").unwrap();
    assert_eq!(pixels.len(), 640 * 480);
    let grey = pixels.iter().filter(|&&pixel| pixel != 0 && pixel != 255).count();
    assert_eq!(grey, after);
    assert_eq!((pixels[0], pixels[240 * 640 + 320]), (0, 255));
    // Half of what the pixel at the left edge sees is white.
    assert!((100..156).contains(&pixels[240 * 640 + 170]), "{}", pixels[240 * 640 + 170]);
}

#[test]
fn crashes_of_a_c_library_are_errors_of_their_tasks() {
    let printed = printed(&mut example("c_library").command);
    let lines: Vec<_> = printed.lines().collect();
    let [first, null, empty, nul, last] = lines[..] else { panic!("{printed}") };
    assert_eq!(first, "Some(\"threads\") has 7 bytes");
    assert!(null.starts_with("None crashes: ") && null.contains("task 1"), "{null}");
    assert!(null.contains("SIGSEGV") && empty.contains("SIGABRT"), "{printed}");
    assert!(nul.contains("is refused: nul byte"), "{nul}");
    assert_eq!(last, "Some(\"processes\") has 9 bytes");
}

/// A server; it ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_web_server_answers_while_another_request_computes_and_stops_what_takes_too_long() {
    let Example { folder: _folder, mut command } = example("web_server");
    let mut server = Server(command.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        stream
    };
    let read = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let endless = ask("/100000000000");
    let answer = read(ask("/primes"));
    assert!(answer.starts_with("HTTP/1.0 404 ") && answer.contains("/primes"), "{answer}");
    let late = read(endless);
    assert!(late.starts_with("HTTP/1.0 503 ") && late.contains("call_timeout"), "{late}");
    let answer = read(ask("/1000"));
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n168 primes are below 1000\n"), "{answer}");
}

#[test]
fn an_own_pool_gives_what_others_give() {
    let printed = printed(&mut example("own_pool").command);
    assert_eq!(printed, "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n");
}

#[track_caller]
fn assert_same(printed: &str, backends: &[&str]) {
    assert_eq!(printed.lines().count(), backends.len(), "{printed}");
    for (line, backend) in printed.lines().zip(backends) {
        assert!(line.contains(&format!("backend={backend}")), "{printed}");
        assert!(line.ends_with(": Some((106239, 353))"), "{printed}");
    }
}

#[test]
fn a_list_has_the_same_results_on_threads_and_in_processes() {
    assert_same(&printed(&mut example("same_list").command), &["threading", "multiprocessing"]);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_list_has_the_same_results_on_dask() {
    let cluster = crate::dask::Cluster::start("example", 2);
    let mut example = example("same_list");
    let printed = printed(example.command.arg(cluster.address()));
    assert_same(&printed, &["threading", "multiprocessing", "dask"]);
}
