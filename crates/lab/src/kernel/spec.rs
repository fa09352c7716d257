//! The kernel's place in Jupyter: kernel.json and, beside it, the program that it names.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::NAME;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::workspace;

const LAUNCHER: &str = include_str!("launcher.py");

/// Puts the kernel into the environment's list of kernels, unless it stands there. It starts with a
/// copy of what is built in the folder.
pub(super) fn register(kernel: &Path, folder: &Path, environment: &Environment) -> Result<()> {
    let place = environment.jupyter_path().join("kernels").join("rust");
    let (spec, launcher) = (place.join("kernel.json"), place.join("launcher.py"));
    let wanted = text(
        &[
            environment.python().as_path(),
            "-IS".as_ref(),
            &launcher,
            folder,
            kernel,
            "--control_file".as_ref(),
        ],
        // An evcxr that is new would write its own kernel.json when it first started.
        &super::program_identity(kernel),
    );
    let is = |path: &Path, text: &str| fs::read_to_string(path).is_ok_and(|found| found == text);
    if !is(&launcher, LAUNCHER) {
        workspace::write(&launcher, LAUNCHER)?;
    }
    if is(&spec, &wanted) {
        return Ok(());
    }
    let done = Command::new(kernel)
        .arg("--install")
        .env("JUPYTER_PATH", environment.jupyter_path())
        .stdin(Stdio::null())
        .output();
    match done {
        Ok(output) if output.status.success() => workspace::write(&spec, &wanted),
        Ok(output) => Err(Problem::new(format!(
            "{NAME} could not write {}: {}",
            spec.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Problem::new(format!("cannot run {}: {error}", kernel.display()))),
    }
}

/// A kernel.json as evcxr writes it, but for the command.
fn text(command: &[&Path], program: &str) -> String {
    let program = json(program);
    let command: String =
        command.iter().map(|word| format!("    {},\n", json(&word.to_string_lossy()))).collect();
    format!(
        r#"{{
  "argv": [
{command}    "{{connection_file}}"
  ],
  "display_name": "Rust",
  "interrupt_mode": "message",
  "language": "rust",
  "metadata": {{ "program": {program} }}
}}
"#
    )
}

/// A string as JSON has it.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_can_stand_in_the_spec() {
        assert_eq!(json(r#"/a "b"\c"#), r#""/a \"b\"\\c""#);
        assert_eq!(json("/é\n"), "\"/é\\u000a\"");
    }
}
