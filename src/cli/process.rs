//! Turning into another program while staying the same process, so that signals reach it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::jobs::sweep::SWEEP_PROCESS;

/// How long waiting OpenMP threads spin before they sleep, read when the OpenMP library loads. Its own default spins so
/// long that two runs on one machine collapse; sleeping at once costs the small steps of a search half of their speed.
const SPIN_COUNT: (&str, &str) = ("GOMP_SPINCOUNT", "10000");
/// A user's own word on the same matter.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Becomes `program`, with the arguments of this one and a short spin of OpenMP threads, unless the user has chosen.
/// Comes back only where that fails.
fn turn_into(program: &Path) -> io::Error {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    if !waiting_is_settled() {
        command.env(SPIN_COUNT.0, SPIN_COUNT.1);
    }
    command.args(arguments).exec()
}

fn waiting_is_settled() -> bool {
    [SPIN_COUNT.0, WAIT_POLICY].into_iter().any(|name| std::env::var_os(name).is_some())
}

/// Begins anew, once, where it is not settled how OpenMP threads wait; to be called before libtorch's threads exist.
#[cfg(feature = "torch")]
pub(super) fn spin_shortly() {
    if waiting_is_settled() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Comes back only where it fails; then threads spin for longer, which is right all the same.
    let _error = turn_into(&program);
}

/// Where this is a run of a sweep, asks the system to tell it to stop when the sweep's process ends, however that ends.
///
/// # Errors
/// Where that has ended already.
pub(super) fn end_with_the_sweep() -> anyhow::Result<()> {
    match std::env::var(SWEEP_PROCESS).ok().and_then(|id| id.parse().ok()) {
        Some(sweep) => end_with(sweep),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn end_with(parent: i32) -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    // Without it a run outlives its sweep, and the next one waits for it.
    let _refused = set_parent_process_death_signal(Some(Signal::TERM));
    let ended = getppid().is_none_or(|id| id.as_raw_nonzero().get() != parent);
    anyhow::ensure!(!ended, "the sweep of this run, process {parent}, has ended");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end_with(_: i32) -> anyhow::Result<()> {
    Ok(())
}

/// The program that runs a search: this one, where it trains or the one that does lies beside it.
///
/// # Errors
/// Where nothing here trains.
pub(super) fn searcher() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program does not know where it lies")?;
    #[cfg(not(feature = "torch"))]
    anyhow::ensure!(this.with_file_name(TRAINING).exists(), NO_TRAINING);
    Ok(this)
}

/// The program that trains.
#[cfg(not(feature = "torch"))]
const TRAINING: &str = "systole-torch";
/// Where it is not there.
#[cfg(not(feature = "torch"))]
const NO_TRAINING: &str = "this `systole` was installed without training; in a clone run `make install PREFIX=DIR`, or \
     `make search` to try it";

/// Becomes the program that trains, where it lies beside this one: `make install` puts it there, so that only what
/// trains waits for libtorch to load.
///
/// # Errors
/// Where it is not there, or does not start.
#[cfg(not(feature = "torch"))]
pub(super) fn train() -> anyhow::Error {
    let program = std::env::current_exe().map(|this| this.with_file_name(TRAINING));
    match program {
        Ok(program) if program.exists() => {
            let reason = turn_into(&program);
            anyhow::anyhow!("{}: cannot be started: {reason}", program.display())
        }
        Ok(_) | Err(_) => anyhow::anyhow!(NO_TRAINING),
    }
}
