//! Clusters that others run: how ours is found, what is left there, and what happens to it meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use joblab::{Backend, Parallel, SharedSlice};

use super::cluster::{ADDRESS, Cluster, ask, own_python, python, said, skipped, wait_for};
use super::starts::refused;
use super::{dask_worker, square, workers};
use crate::system::{
    alone, children, eventually, in_a_process_of_its_own, is_alone, is_running, kill, kilobytes,
};

/// Writes more than a pipe holds, to both streams.
fn prints(n: u64) -> u64 {
    for _ in 0..4000 {
        println!("{n:0100}");
        eprintln!("{n:0100}");
    }
    n
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn tasks_print_on_when_nobody_reads_the_workers_streams() {
    let mut cluster = Cluster::new("streams");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    let mut worker = python()
        .args(["-m", "dask", "worker", "--nthreads", "1", "--no-nanny", "--name", "mute"])
        .args(["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", &cluster.address()])
        .current_dir(&cluster.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut lines, stdout) =
        (BufReader::new(worker.stderr.take().unwrap()).lines(), worker.stdout.take());
    assert!(lines.any(|line| line.unwrap().contains("Registered to")));
    drop((lines, stdout));
    cluster.processes.push(worker);
    let parallel = cluster.parallel(-1).call_timeout(Duration::from_secs(60));
    assert_eq!(parallel.map(prints, 0..3).unwrap().results, [0, 1, 2]);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn tasks_print_on_when_nobody_reads_the_programs_own_streams() {
    const TEST: &str = "dask::others::tasks_print_on_when_nobody_reads_the_programs_own_streams";
    const FILE: &str = "JOBLAB_TEST_FILE";
    if is_alone() {
        // The test's own program has things to print before this, and needs a reader.
        while writeln!(io::stdout(), "\nhere").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let parallel = Parallel::new(2).backend(Backend::Dask);
        let parallel = parallel.call_timeout(Duration::from_secs(90));
        let said = match parallel.map(prints, 0..3) {
            Ok(run) => format!("{:?}", run.results),
            Err(error) => error.to_string(),
        };
        fs::write(std::env::var_os(FILE).unwrap(), said).unwrap();
        return;
    }
    let folder = Cluster::new("closed");
    let file = folder.folder.join("results");
    let mut program =
        alone(TEST).env(FILE, &file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "here"));
    drop((lines, program.stderr.take()));
    program.wait().unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "[0, 1, 2]");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_task_that_waits_for_tasks_of_the_same_cluster_leaves_its_thread_to_them() {
    fn outer((n, address): (u64, String)) -> u64 {
        let inner = Parallel::new(2).backend(Backend::Dask).scheduler(address);
        inner.map(square, [n, n + 1]).unwrap().results.iter().sum()
    }
    let mut cluster = Cluster::new("nested");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    // The Python of the inner call is the one that runs the outer one, and no other is to be found.
    let mut alone = Command::new(own_python());
    alone.env_remove("JOBLAB_PYTHON").env_remove("VIRTUAL_ENV").env_remove("CONDA_PREFIX");
    alone.env("PATH", "/nowhere");
    cluster.add_worker_at("w0", alone, "127.0.0.1", &["--nthreads", "1"]);
    cluster.wait_for_log("w0");
    let parallel = cluster.parallel(-1).call_timeout(Duration::from_secs(90));
    let tasks = (0..3).map(|n| (n, cluster.address()));
    assert_eq!(parallel.map(outer, tasks).unwrap().results, [1, 5, 13]);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_cluster_that_was_restarted_meanwhile_is_told_again() {
    let mut cluster = Cluster::new("restarted");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    cluster.add_worker("w0", 1);
    let address = cluster.address();
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let parallel = cluster.parallel(-1);
    let data = SharedSlice::from_vec(vec![3_u64; 1000]).unwrap();
    let sum = |data: SharedSlice<u64>| data.iter().sum::<u64>();
    let works = || {
        assert_eq!(parallel.map(sum, vec![data.clone(); 3]).unwrap().results, [3000; 3]);
        assert_eq!(parallel.map(square, 0..3).unwrap().results, [0, 1, 4]);
    };
    works();
    ask(python(), &address, "client.restart()");
    works();
    for process in &mut cluster.processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    cluster.add_again("scheduler", &["scheduler", "--port", &port]);
    cluster.add_worker("w1", 1);
    wait_for(&cluster.parallel(-1), 1);
    works();
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn an_adaptive_cluster_grows_with_what_there_is_to_do() {
    const ADAPTIVE: &str = "
import sys
from distributed import LocalCluster
if __name__ == '__main__':
    cluster = LocalCluster(n_workers=0, threads_per_worker=1, host='127.0.0.1',
                           dashboard_address='127.0.0.1:0')
    cluster.adapt(minimum=0, maximum=4, interval='200ms', target_duration='1s')
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
";
    let mut child = python()
        .args(["-c", ADAPTIVE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(address.trim());
    let seen: BTreeSet<u32> =
        parallel.map(dask_worker, [1000; 40]).unwrap().results.into_iter().collect();
    drop(parallel);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(seen.len(), 4);
}

/// A file system of its own, in memory; ends with this value. None where that cannot be.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(cluster: &Cluster, options: &str) -> Option<Mounted> {
        let folder = cluster.folder.join("mounted");
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", options, "joblab"]).arg(&folder);
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Mounted(folder));
        }
        // What mount(2) asks for (capabilities(7)).
        const SYS_ADMIN: u64 = 1 << 21;
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let may = u64::from_str_radix(line.trim(), 16).unwrap() & SYS_ADMIN != 0;
        skipped("file systems of their own need root", may);
        None
    }

    /// Starts the cluster with a worker that has its files here.
    fn add_worker(&self, cluster: &mut Cluster, name: &str) {
        cluster.add_scheduler(python(), "127.0.0.1", &[]);
        let folder = self.0.to_str().unwrap();
        let arguments = ["--nthreads", "1", "--local-directory", folder];
        cluster.add_worker_at(name, python(), "127.0.0.1", &arguments);
        cluster.wait_for_log(name);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_with_a_full_disk_is_named_or_others_do_its_tasks() {
    let mut cluster = Cluster::new("full");
    let Some(full) = Mounted::new(&cluster, "size=1m") else { return };
    full.add_worker(&mut cluster, "full");
    let error = refused(&cluster.parallel(-1)).to_string();
    assert!(error.contains("Dask worker full") && error.contains("No space left"), "{error}");
    cluster.add_worker("healthy", 1);
    cluster.wait_for_log("healthy");
    let parallel = cluster.parallel(-1);
    let run = parallel.map(dask_worker, [50; 12]).unwrap();
    assert_eq!(workers(&run.tasks), BTreeSet::from(["healthy"]));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_program_runs_from_memory_where_files_cannot_be_run() {
    let mut cluster = Cluster::new("noexec");
    let Some(mounted) = Mounted::new(&cluster, "noexec") else { return };
    mounted.add_worker(&mut cluster, "w0");
    assert_eq!(cluster.parallel(-1).map(square, 0..3).unwrap().results, [0, 1, 4]);
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn shared_numbers_do_not_pass_through_the_graph_and_outlive_a_holder() {
    const NUMBERS: usize = 12 << 20;
    let mut cluster = Cluster::start("graph", 2);
    let scheduler = cluster.processes[0].id();
    let status = format!("/proc/{scheduler}/status");
    let before = kilobytes(&status, "VmRSS:");
    let data = SharedSlice::fill(NUMBERS, |numbers| numbers.fill(1_u64)).unwrap();
    let sum = |(milliseconds, data): (u64, SharedSlice<u64>)| {
        (dask_worker(milliseconds), data.iter().sum::<u64>())
    };
    let parallel = cluster.parallel(-1);
    let run = parallel.map(sum, vec![(50, data.clone()); 8]).unwrap();
    let most = kilobytes(&status, "VmHWM:") - before;
    let size = (NUMBERS * 8 / 1024) as u64;
    println!("{size} kB shared: the scheduler grew by {most} kB");
    assert!(most < 5 * size / 2, "{size} kB shared: the scheduler grew by {most} kB");
    // Whoever has them goes, while tasks that need them wait.
    let holders: BTreeSet<u32> = run.results.iter().map(|(worker, _)| *worker).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            holders.iter().for_each(|holder| kill("-KILL", *holder));
        });
        let run = parallel.map(sum, vec![(200, data.clone()); 20]).unwrap();
        assert!(run.results.iter().all(|(_, sum)| *sum == NUMBERS as u64));
    });
    cluster.processes.drain(..).for_each(|mut process| {
        let _ = process.kill().and_then(|()| process.wait());
    });
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn the_children_of_a_late_task_end_with_it() {
    fn leaves_a_child(file: String) {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        fs::write(file, child.id().to_string()).unwrap();
        child.wait().unwrap();
    }
    let cluster = Cluster::start("children", 1);
    let file = cluster.folder.join("child");
    let parallel = cluster.parallel(-1).task_timeout(Duration::from_secs(3));
    let error = parallel.map(leaves_a_child, [file.display().to_string()]).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let child: u32 = fs::read_to_string(file).unwrap().parse().unwrap();
    eventually("the child ends", || !is_running(child));
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_line_without_end_does_not_grow_the_worker() {
    fn prints(megabytes: usize) -> u32 {
        let piece = vec![b'.'; 1 << 20];
        (0..megabytes).for_each(|_| std::io::stderr().write_all(&piece).unwrap());
        std::os::unix::process::parent_id()
    }
    let cluster = Cluster::start("line", 1);
    let parallel = cluster.parallel(-1);
    let worker = parallel.map(prints, [0]).unwrap().results[0];
    let most = || kilobytes(&format!("/proc/{worker}/status"), "VmHWM:");
    let before = most();
    assert_eq!(parallel.map(prints, [100]).unwrap().results, [worker]);
    assert!(most() < before + 30_000, "from {before} to {} kB", most());
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn large_results_are_few_times_in_memory() {
    let test = "dask::others::large_results_are_few_times_in_memory";
    let output = in_a_process_of_its_own(test, || {
        let cluster = Cluster::start("large", 1);
        let of_cluster: Vec<u32> = cluster.processes.iter().map(|process| process.id()).collect();
        let parallel = cluster.parallel(-1);
        let worker = parallel.map(dask_worker, [0]).unwrap().results[0];
        let bridges: Vec<u32> =
            children().into_iter().filter(|pid| !of_cluster.contains(pid)).collect();
        let [bridge] = bridges[..] else { panic!("{bridges:?}") };
        let most = || {
            [worker, bridge].map(|pid| kilobytes(&format!("/proc/{pid}/status"), "VmHWM:") >> 10)
        };
        let before = most();
        let megabytes = 300;
        let run = parallel.map(|n: usize| vec![7_u8; n << 20], [megabytes]).unwrap();
        assert_eq!(run.results[0].len(), megabytes << 20);
        let after = most();
        let grown = [0, 1].map(|of| after[of] - before[of]);
        println!("{megabytes} MiB took the Dask worker and the bridge {grown:?} MiB");
        assert!(grown.iter().all(|grown| *grown < 3 * megabytes as u64 / 2), "{grown:?}");
    });
    if let Some(output) = output {
        print!("{}", output.stdout);
    }
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn a_worker_that_its_nanny_ends_for_its_memory_is_said_to_be_so() {
    let mut cluster = Cluster::new("nanny");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    let arguments = ["--nthreads", "1", "--memory-limit", "400MB"];
    cluster.add_worker_at("small", python(), "127.0.0.1", &arguments);
    cluster.wait_for_log("small");
    let error = cluster.parallel(-1).map(|n: usize| vec![7_u8; n << 20], [700]).unwrap_err();
    assert!(error.is_worker_death(), "{error}");
    assert!(error.to_string().contains("its nanny ended it: it held"), "{error}");
}

#[test]
#[ignore = "needs a Python with Dask; `cargo lab test` runs it"]
fn resources_workers_and_priorities_are_those_of_dasks_configuration() {
    const TEST: &str =
        "dask::others::resources_workers_and_priorities_are_those_of_dasks_configuration";
    const PRIORITIES: &str = "
def priorities(dask_scheduler):
    tasks = dask_scheduler.tasks.items()
    return {task.priority[0] for key, task in tasks if 'joblab' in str(key) and task.priority}
print(client.run_on_scheduler(priorities))
";
    if is_alone() {
        let address = std::env::var(ADDRESS).unwrap();
        let parallel = Parallel::new(-1).backend(Backend::Dask).scheduler(&address);
        wait_for(&parallel, 2);
        // Of a second call, too.
        let run = std::thread::scope(|scope| {
            let call = scope.spawn(|| parallel.map(dask_worker, [500; 12]).unwrap());
            std::thread::sleep(Duration::from_secs(1));
            println!("\npriorities {}", ask(python(), &address, PRIORITIES));
            call.join().unwrap()
        });
        println!("\nworkers {:?}", workers(&run.tasks));
        return;
    }
    let mut cluster = Cluster::new("resources");
    cluster.add_scheduler(python(), "127.0.0.1", &[]);
    cluster.add_worker("w0", 1);
    let arguments = ["--nthreads", "1", "--resources", "GPU=1"];
    cluster.add_worker_at("gpu", python(), "127.0.0.1", &arguments);
    let with = |name: &str, value: &str| {
        said(TEST, |command| {
            command.env(ADDRESS, cluster.address()).env(format!("DASK_JOBLAB__{name}"), value);
        })
    };
    let said = with("RESOURCES", "{'GPU': 1}");
    assert!(said.contains("workers {\"gpu\"}") && said.contains("priorities {0}"), "{said}");
    let said = with("WORKERS", "['w0']");
    assert!(said.contains("workers {\"w0\"}"), "{said}");
    let said = with("PRIORITY", "10");
    assert!(said.contains("workers {\"gpu\", \"w0\"}"), "{said}");
    assert!(said.contains("priorities {-10}"), "{said}");
}
