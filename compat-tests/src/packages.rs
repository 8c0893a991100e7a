//! Programs of the system that tests need, installed by name where they are missing.

use std::process::{Command, Stdio};

use crate::suites::{Failure, Outcome};

/// Makes sure that `program` can be run; `package` is Debian's name for it. A program that cannot be had is a failure.
pub fn ensure(program: &str, package: &str) -> Outcome<()> {
    if run(Command::new(program).arg("-V")).is_ok() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", package])
        .env("DEBIAN_FRONTEND", "noninteractive"))
    .map_err(|failure| {
        failure.during(format!(
            "no {program} in the PATH, and Debian's package {package}"
        ))
    })
}

/// Runs a command to its end; what it printed is the failure.
pub fn run(command: &mut Command) -> Outcome<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(error).during(format!("{program} could not be run")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{program} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
