//! A web server whose threads only talk: what costs CPU time runs in a pool of processes that all requests
//! share, and that stops a request's tasks after three seconds.
//!
//! `cargo run --release --package joblab --example web_server -- 127.0.0.1:8080`, then ask for
//! `http://127.0.0.1:8080/1000000`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, thread};

use joblab::{Backend, Parallel};

/// How many primes there are in a range.
fn primes((from, to): (u64, u64)) -> usize {
    let is_prime = |&n: &u64| n > 1 && (2..).take_while(|d| d * d <= n).all(|d| n % d > 0);
    (from..to).filter(is_prime).count()
}

/// The status and the text for the path of a request, as `/1000`.
fn answer(path: &str, parallel: &Parallel) -> (&'static str, String) {
    let Some(Ok(limit)) = path.strip_prefix('/').map(str::parse::<u64>) else {
        return ("404 Not Found", format!("ask for /1000, not for {path}"));
    };
    let part = limit.div_ceil(32).max(1);
    let ranges = (0..limit).step_by(part as usize).map(|from| (from, limit.min(from + part)));
    match parallel.map(primes, ranges) {
        Ok(run) => {
            let n_primes: usize = run.results.iter().sum();
            ("200 OK", format!("{n_primes} primes are below {limit}"))
        }
        Err(error) => ("503 Service Unavailable", error.to_string()),
    }
}

fn serve(stream: &TcpStream, parallel: &Parallel) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The headers, up to an empty line.
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    let (status, text) = answer(request.split(' ').nth(1).unwrap_or_default(), parallel);
    write!(&mut &*stream, "HTTP/1.0 {status}\r\nContent-Type: text/plain\r\n\r\n{text}\n")
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address)?;
    let parallel = Parallel::new(-1).backend(Backend::Multiprocessing);
    let parallel = parallel.call_timeout(Duration::from_secs(3));
    println!("http://{}", listener.local_addr()?);
    thread::scope(|scope| {
        for stream in listener.incoming().filter_map(Result::ok) {
            // Who goes away before the answer is there does not get it.
            let parallel = &parallel;
            scope.spawn(move || serve(&stream, parallel).map_err(|error| eprintln!("{error}")));
        }
    });
    Ok(())
}
