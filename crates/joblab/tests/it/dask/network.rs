//! Who listens where, who has to reach whom, and who is let in.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel};

use super::cluster::{Cluster, python, skipped, wait_for};
use super::{dask_worker, workers};
use crate::system::{alone, eventually, is_alone, is_running};

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_local_cluster_listens_here_only_and_ends_with_the_program() {
    if is_alone() {
        let parallel = Parallel::new(2).backend(Backend::Dask);
        let run = parallel.map(dask_worker, [100; 8]).unwrap();
        println!("\nprocesses {} {}", run.results[0], run.tasks[0].pid);
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let open_to_all = || {
        let tcp = fs::read_to_string("/proc/net/tcp").unwrap();
        let tcp6 = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        // Local address, remote address, and 0A for LISTEN (proc_net_tcp(5)).
        let sockets = tcp.lines().chain(tcp6.lines()).map(str::to_owned);
        sockets
            .filter(|line| line.split_whitespace().nth(3) == Some("0A"))
            .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .filter(|local| !local.starts_with("0100007F"))
            .collect::<BTreeSet<_>>()
    };
    let before = open_to_all();
    let mut program =
        alone("dask::network::a_local_cluster_listens_here_only_and_ends_with_the_program")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(program.stdout.take().unwrap()));
    let line =
        lines.find_map(|line| Some(line.unwrap().strip_prefix("processes ")?.to_owned())).unwrap();
    let pids: Vec<u32> = line.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(open_to_all(), before);
    assert!(pids.iter().all(|pid| is_running(*pid)));
    program.kill().unwrap();
    program.wait().unwrap();
    eventually("all processes end", || !pids.iter().any(|pid| is_running(*pid)));
}

/// Runs a program of the system that has to do its work.
#[track_caller]
fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn has(program: &str) -> bool {
    Command::new(program).arg("-V").output().is_ok()
}

/// Three networks (ip-netns(8)): the caller's and the workers' each have a wire to the scheduler's, and
/// none to each other. Their addresses are of a range that is for tests (RFC 2544).
struct Networks(String);

const TO_CALLER: &str = "198.18.1.1";
const TO_WORKERS: &str = "198.18.2.1";
const OF_WORKERS: &str = "198.18.2.2";

impl Networks {
    fn new() -> Networks {
        let networks = Networks(format!("joblab-{}", std::process::id()));
        for place in ["caller", "scheduler", "workers"] {
            run(&format!("ip netns add {}", networks.name(place)));
        }
        let scheduler = networks.name("scheduler");
        for (place, here, there) in
            [("caller", "198.18.1.2", TO_CALLER), ("workers", OF_WORKERS, TO_WORKERS)]
        {
            let network = networks.name(place);
            let wire = format!("type veth peer name {place} netns {scheduler}");
            run(&format!("ip -netns {network} link add up0 {wire}"));
            for (network, device, address) in [(&network, "up0", here), (&scheduler, place, there)]
            {
                run(&format!("ip -netns {network} address add {address}/24 dev {device}"));
                run(&format!("ip -netns {network} link set {device} up"));
                run(&format!("ip -netns {network} link set lo up"));
            }
        }
        networks
    }

    fn name(&self, place: &str) -> String {
        format!("{}-{place}", self.0)
    }

    /// The command, run in one of the networks.
    fn inside(&self, place: &str, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name(place)]);
        inside.arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.envs(variables).stdin(Stdio::null());
        inside
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for place in ["caller", "scheduler", "workers"] {
            let _ = Command::new("ip").args(["netns", "delete", &self.name(place)]).status();
        }
    }
}

const SCHEDULER: &str = "JOBLAB_TEST_SCHEDULER";

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn only_the_scheduler_has_to_be_reached_and_a_wire_that_is_cut_is_an_error() {
    if is_alone() {
        let address = std::env::var(SCHEDULER).unwrap();
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address);
        wait_for(&parallel, 2);
        let run = parallel.map(dask_worker, [50; 8]).unwrap();
        assert_eq!(workers(&run.tasks), BTreeSet::from(["w0", "w1"]));
        let worker: SocketAddr = format!("{OF_WORKERS}:9").parse().unwrap();
        println!("\nworker: {}", TcpStream::connect(worker).unwrap_err());
        println!("error: {}", parallel.map(dask_worker, [200; 1000]).unwrap_err());
        return;
    }
    // Only root may make networks.
    let is_root = fs::metadata("/proc/self").is_ok_and(|this| {
        use std::os::unix::fs::MetadataExt;
        this.uid() == 0
    });
    if !is_root || !has("ip") {
        let why = "networks of their own need root and ip (Debian: apt install iproute2)";
        return skipped(why, is_root);
    }
    let networks = Networks::new();
    let mut cluster = Cluster::new("networks");
    let at_scheduler = networks.inside("scheduler", &python());
    cluster.add_scheduler(at_scheduler, "0.0.0.0", &[]);
    let port = cluster.address().rsplit_once(':').unwrap().1.to_owned();
    for name in ["w0", "w1"] {
        // The file that tells where the scheduler is has an address that means nothing there.
        let address = format!("tcp://{TO_WORKERS}:{port}");
        let at_workers = networks.inside("workers", &python());
        cluster.add_worker_at(name, at_workers, OF_WORKERS, &["--nthreads", "1", &address]);
    }
    let test =
        "dask::network::only_the_scheduler_has_to_be_reached_and_a_wire_that_is_cut_is_an_error";
    let caller = networks
        .inside("caller", &alone(test))
        .env(SCHEDULER, format!("tcp://{TO_CALLER}:{port}"))
        // How long Dask waits for a connection that says nothing; it takes no less.
        .env("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")
        .env("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "5s")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut caller, mut said) = (caller, String::new());
    let lines = std::io::BufReader::new(caller.stdout.take().unwrap());
    for line in std::io::BufRead::lines(lines) {
        let line = line.unwrap();
        if line.starts_with("worker: ") {
            std::thread::sleep(Duration::from_secs(1));
            let scheduler = networks.name("scheduler");
            run(&format!("ip -netns {scheduler} address flush dev caller"));
        }
        said += &(line + "\n");
    }
    assert!(caller.wait().unwrap().success(), "{said}");
    assert!(said.contains("worker: Network is unreachable"), "{said}");
    assert!(said.contains("error: the Dask cluster cannot be used"), "{said}");
}

/// A key, and a certificate for it that it has signed itself (openssl-req(1)).
fn make_certificate(folder: &Path) -> (String, String) {
    let file = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    run(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=joblab -keyout {key} -out \
         {certificate}"
    ));
    (key, certificate)
}

/// Has Dask's configuration say that connections are encrypted, and by what.
fn with_tls<'a>(command: &'a mut Command, key: &str, certificate: &str) -> &'a mut Command {
    command.env("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "true");
    command.env("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", certificate);
    for role in ["SCHEDULER", "WORKER", "CLIENT"] {
        command.env(format!("DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"), key);
        command.env(format!("DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"), certificate);
    }
    command
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn tls_is_that_of_dasks_configuration_and_nobody_gets_in_without() {
    const TEST: &str =
        "dask::network::tls_is_that_of_dasks_configuration_and_nobody_gets_in_without";
    if is_alone() {
        let address = std::env::var(SCHEDULER).unwrap();
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address);
        match parallel.map(dask_worker, [50; 4]) {
            Ok(run) => println!("\nran on {:?}", workers(&run.tasks)),
            Err(error) => println!("\nerror: {error}"),
        }
        return;
    }
    if !has("openssl") {
        return skipped("certificates need openssl (Debian: apt install openssl)", true);
    }
    let mut cluster = Cluster::new("tls");
    let (key, certificate) = make_certificate(&cluster.folder);
    let stranger = cluster.folder.join("stranger");
    fs::create_dir(&stranger).unwrap();
    let (other_key, other_certificate) = make_certificate(&stranger);
    let secure = || {
        let mut python = python();
        with_tls(&mut python, &key, &certificate);
        python
    };
    let tls = ["--protocol", "tls"];
    cluster.add_scheduler(secure(), "127.0.0.1", &tls);
    cluster.add_worker_at("w0", secure(), "127.0.0.1", &[&tls[..], &["--nthreads", "1"]].concat());
    cluster.wait_for_log("w0");
    let address = cluster.address();
    assert!(address.starts_with("tls://"), "{address}");
    let said = |caller: &mut Command| {
        let output = caller.env(SCHEDULER, &address).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let friend = said(with_tls(&mut alone(TEST), &key, &certificate));
    assert!(friend.contains("ran on {\"w0\"}"), "{friend}");
    for refused in
        [said(&mut alone(TEST)), said(with_tls(&mut alone(TEST), &other_key, &other_certificate))]
    {
        let error = refused.lines().find(|line| line.starts_with("error: ")).unwrap_or(&refused);
        assert!(error.contains("the Dask cluster cannot be used"), "{error}");
        assert!(error.contains("TLS"), "{error}");
    }
}
