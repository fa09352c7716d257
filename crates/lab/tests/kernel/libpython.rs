//! Cells that need Python as a library, on a machine where it is none.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::notebook::{lab_run, notebook, plain};

/// An environment like the notebooks' own, but for a Python that does not know where its library is.
fn without_library() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.lab/python/bin/python");
    let python = env::var_os("JOBLAB_PYTHON").map_or(own, PathBuf::from);
    let output = |python: &Path, arguments: &[&str]| {
        let output = Command::new(python).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-library");
    let _ = fs::remove_dir_all(&folder);
    output(&python, &["-m", "venv", "--without-pip", folder.to_str().unwrap()]);
    let packages = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"];
    let theirs = output(&folder.join("bin/python"), &packages);
    // Python runs lines of such a file that begin so, whenever it starts (documentation of `site`).
    let forget = "import sysconfig; sysconfig.get_config_vars()['LIBDIR'] = '/nowhere'";
    let lines = format!("{}\n{forget}\n", output(&python, &packages));
    fs::write(Path::new(&theirs).join("without_library.pth"), lines).unwrap();
    folder
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn cells_that_need_the_library_are_left_out_and_that_is_said() {
    let cells = plain(&["println!(\"run\");", "panic!(\"not run\");"]);
    let path = notebook("needs-library", &cells);
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.rsplit_once(r#""metadata": {}, "outputs""#).unwrap();
    let tagged = r#""metadata": {"tags": ["libpython"]}, "outputs""#;
    fs::write(&path, [before, tagged, after].concat()).unwrap();

    let environment = without_library();
    let run = |flags: &[&str], ci: &str| {
        let mut command = lab_run(flags, &path);
        let output = command.env("VIRTUAL_ENV", &environment).env("CI", ci).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (passed, said) = run(&[], "");
    assert!(passed && said.contains("  1 cells") && said.contains("SKIPPED 1 cells"), "{said}");
    // Nobody would read that, or outputs would be lost.
    for (flags, ci) in [(&[][..], "true"), (&["--write"], "")] {
        let (passed, said) = run(flags, ci);
        assert!(!passed && said.contains("1 cells cannot be run"), "{said}");
        assert!(said.contains("apt install") && said.contains("brew install"), "{said}");
    }
}
