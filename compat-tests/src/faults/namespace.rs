//! A mount namespace of our own, so that mounts need no rights outside of it and vanish with the process.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::suites::{Failure, Outcome};

/// Set for the process inside.
const INSIDE_VARIABLE: &str = "KLAMM_FAULTS_INSIDE";

/// Goes on in a namespace of its own: returns in the process that runs there, which has the same arguments.
///
/// Whoever is not root becomes it inside, in a user namespace. A system that forbids that is a failure.
pub fn enter() -> Outcome<()> {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return Ok(());
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE_VARIABLE, "1");
    let Err::<Infallible, _>(error) = Err(command.exec());
    Err(Failure::new(error).during("unshare"))
}
