//! The folder for what a kernel leaves.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A process that outlives the kernel by a moment writes while its folder is removed.
const SCRIPT: &str = "
import asyncio, pathlib, subprocess, sys, time
from scratch import remove
folder = pathlib.Path(sys.argv[1])
writer = '''
import itertools, pathlib, sys, time
begun = time.monotonic()
for number in itertools.count():
    if time.monotonic() - begun > 0.5:
        break
    (pathlib.Path(sys.argv[1]) / str(number)).mkdir()
    time.sleep(0.0002)
'''
process = subprocess.Popen([sys.executable, '-c', writer, str(folder)], stderr=subprocess.DEVNULL)
while not (folder / '9').exists():
    time.sleep(0.01)
asyncio.run(remove(folder))
print(folder.exists(), process.poll())
process.wait()
";

#[test]
#[ignore = "needs Python; `cargo lab test` runs it"]
fn it_goes_although_a_process_still_writes_to_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/notebooks");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scratch");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let mut python = Command::new("python3");
    python.args(["-B", "-c", SCRIPT]).arg(&folder).env("PYTHONPATH", source);
    let output = python.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !folder.exists(), "{said}");
}
